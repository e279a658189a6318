"""`kill -9` of the worker at every stage of a provider's job: paid once, and it succeeds once.

A remote adapter is one entry in `PROVIDERS`: its fake, the settings that lead to it, and where to look.
Where a job ends with its connection (pictures of OpenAI and Gemini) a kill leaves `submitted_unknown`.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.acceptance.process import Service, look_into, started
from tests.integration.program import Api
from tests.servers.comfyui import ComfyUIServer
from tests.servers.fal import FalServer
from tests.servers.google import InteractionServer, PictureServer, VeoServer
from tests.servers.google_tokens import TokenServer
from tests.servers.media import Shelf
from tests.servers.openai import OpenAIServer
from tests.servers.openai_video import OpenAIVideoServer
from tests.servers.provider import ProviderServer
from tests.servers.replicate import ReplicateServer
from tests.servers.web import Answer, Fault, Gate, held

Settings = Mapping[str, object]
Leading = Callable[[ProviderServer], Settings]


@dataclass(frozen=True)
class Case:
    """A provider's `fake` and how a program gets to it (`leading`).

    `look` is the place where jobs are looked at, `file` the one where results lie if it is not the shelf,
    after `whole` answers without one. `daily` is the kill of the default suite; the others are `long`.
    """

    fake: type[ProviderServer]
    leading: Leading
    kind: str = "image"
    look: str = "poll"
    file: str | None = None
    whole: int = 0
    daily: str = "unanswered"


PROVIDERS: Mapping[str, Case] = {
    "replicate": Case(
        ReplicateServer,
        lambda server: {"replicate_api_token": server.key, "replicate_base_url": server.url},
        daily="mid_download",
    ),
    "fal": Case(
        FalServer, lambda server: {"fal_key": server.key, "fal_base_url": server.url}, daily="mid_poll"
    ),
    "openai": Case(
        OpenAIServer, lambda server: {"openai_api_key": server.key, "openai_base_url": f"{server.url}/v1"}
    ),
    "openai_video": Case(
        OpenAIVideoServer,
        lambda server: {
            "openai_video_base_url": f"{server.url}/v1",
            "openai_video_api_key": server.key,
        },
        kind="video",
        file="content",
        daily="mid_download",
    ),
    "google-pictures": Case(
        PictureServer, lambda server: {"gemini_api_key": server.key, "gemini_base_url": server.url}
    ),
    "google-films": Case(
        InteractionServer,
        lambda server: {"gemini_api_key": server.key, "gemini_base_url": server.url},
        kind="video",
        file="content",
        daily="after_submit",
    ),
    "vertex": Case(
        VeoServer,
        lambda server: {"vertex_project": "studio", "vertex_base_url": server.url},
        kind="video",
        file="poll",
        whole=1,
        daily="mid_poll",
    ),
    "comfyui": Case(
        ComfyUIServer,
        lambda server: {"comfyui_url": server.url, "comfyui_api_key": server.key},
        look="queue",
        file="view",
        daily="mid_poll",
    ),
}


@dataclass
class World:
    """A provider, where its files lie, and how a program gets there."""

    case: Case
    server: ProviderServer
    shelf: Shelf
    settings: Settings
    gate: Gate

    @contextmanager
    def service(self, folder: Path) -> Iterator[Service]:
        with started(folder, media_result_origins=self.shelf.url, **self.settings) as service:
            yield service


def kills(*stages: str, resumes: bool) -> list[object]:
    """Return the kills at these stages, for the providers whose jobs outlive their connection or do not."""
    return [
        pytest.param(name, stage, id=f"{name}-{stage}", marks=() if stage == case.daily else pytest.mark.long)
        for name, case in sorted(PROVIDERS.items())
        for stage in stages
        if case.fake.RESUMES or not resumes
    ]


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    case, gate = PROVIDERS[request.param], Gate()
    with Shelf.served() as shelf, case.fake.served(shelf) as server, TokenServer.served() as tokens:
        account = tokens.write_account(tmp_path / "account.json")
        settings = {**case.leading(server), "google_application_credentials": account}
        yield World(case, server, shelf, settings, gate)
        gate.open()


def half(gate: Gate) -> Fault:
    """Send the first half of a file, the rest when `gate` opens."""

    def bend(true: Answer) -> Answer:
        assert isinstance(true.body, bytes)
        middle = len(true.body) // 2
        return replace(true, body=[true.body[:middle], gate, true.body[middle:]])

    return Fault(bend=bend)


async def after_submit(world: World) -> None:
    """The handle is kept; the provider has not begun."""
    await world.server.arrived(world.case.look)


async def mid_poll(world: World) -> None:
    """The provider works and a question is on its way."""
    before = world.server.count(world.case.look)
    world.server.arm(world.case.look, held(world.gate))
    world.server.hold("running")
    await world.server.arrived(world.case.look, before + 1)


async def mid_download(world: World) -> None:
    """The provider is done and half of the result has come."""
    place, whole = world.case.file or "file", world.case.whole
    web = world.server if world.case.file else world.shelf
    before = web.count(place)
    web.arm(place, *[Fault()] * whole, half(world.gate))
    world.server.hold(None)
    await web.arrived(place, before + whole + 1)


STAGES: Mapping[str, Callable[[World], Awaitable[None]]] = {
    "after_submit": after_submit,
    "mid_poll": mid_poll,
    "mid_download": mid_download,
}


async def begin(api: Api, world: World) -> str:
    """Ask for a picture or a film from a provider that does not get far."""
    world.server.hold("queued")
    ratio = "1:1" if world.case.kind == "image" else "16:9"
    body = {"prompt": "a lighthouse", "aspectRatio": ratio}
    answer = await api.ask("POST", f"/generate/{world.case.kind}", body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


@pytest.mark.parametrize(("world", "stage"), kills(*STAGES, resumes=True), indirect=["world"])
async def test_a_killed_worker_s_job_is_paid_once(stage: str, world: World, tmp_path: Path) -> None:
    """Killed at this stage, the job succeeds once after a restart, from the one submit there was."""
    with world.service(tmp_path) as service:
        async with service.user("ann") as api:
            job_id = await begin(api, world)
            await world.server.arrived(world.case.look)
            await STAGES[stage](world)
        service.signal(signal.SIGKILL)
        assert await service.ended() == -signal.SIGKILL
    world.server.hold(None)
    world.gate.open()
    with world.service(tmp_path) as service:
        async with service.user("ann") as api:
            history = [frame.name for frame in await api.history(job_id) if frame.id]
            job = await api.job(job_id)
        service.signal(signal.SIGTERM)
        assert await service.ended() == 0
    assert history[-1] == "generation_complete", job
    assert world.server.billed == 1
    assert [attempt["error"] for attempt in job["attempts"]] == ["The worker stopped.", None]
    (await look_into(tmp_path)).check_whole({job_id: 1})


@pytest.mark.parametrize(("world", "_stage"), kills("unanswered", resumes=False), indirect=["world"])
async def test_a_submit_without_an_answer_is_never_repeated(
    _stage: str, world: World, tmp_path: Path
) -> None:
    """Killed while the submit was on its way, the job fails as unknown and nobody pays again."""
    with world.service(tmp_path) as service:
        async with service.user("ann") as api:
            world.server.arm("submit", held(world.gate))
            job_id = await begin(api, world)
            await world.server.arrived("submit")
        service.signal(signal.SIGKILL)
        assert await service.ended() == -signal.SIGKILL
    world.gate.open()
    with world.service(tmp_path) as service:
        async with service.user("ann") as api:
            await api.end(job_id)
            job = await api.job(job_id)
        service.signal(signal.SIGTERM)
        assert await service.ended() == 0
    assert (job["state"], job["error"]["code"]) == ("failed", "submitted_unknown")
    assert (world.server.billed, world.server.count("submit")) == (1, 1)
