"""`kill -9` of the worker at every stage of a provider's job: paid once, and it succeeds once.

A remote adapter is one line in `PROVIDERS`: its fake and the settings that lead to it.
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
from tests.servers.fal import FalServer
from tests.servers.media import Shelf
from tests.servers.provider import ProviderServer
from tests.servers.replicate import ReplicateServer
from tests.servers.web import Answer, Fault, Gate, held

Settings = Mapping[str, object]
Leading = Callable[[ProviderServer], Settings]

PROVIDERS: Mapping[str, tuple[type[ProviderServer], Leading]] = {
    "replicate": (
        ReplicateServer,
        lambda server: {"replicate_api_token": server.key, "replicate_base_url": server.url},
    ),
    "fal": (FalServer, lambda server: {"fal_key": server.key, "fal_base_url": server.url}),
}
DAILY = {"replicate"}
"""Whose kills are in the default suite; the others' are `long`."""


@dataclass
class World:
    """A provider, where its files lie, and how a program gets there."""

    server: ProviderServer
    shelf: Shelf
    settings: Settings
    gate: Gate

    @contextmanager
    def service(self, folder: Path) -> Iterator[Service]:
        with started(folder, media_result_origins=self.shelf.url, **self.settings) as service:
            yield service


def each_provider() -> list[object]:
    return [pytest.param(name, marks=() if name in DAILY else pytest.mark.long) for name in sorted(PROVIDERS)]


@pytest.fixture(params=each_provider())
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    fake, leading = PROVIDERS[request.param]
    with Shelf.served() as shelf, fake.served(shelf) as server:
        gate = Gate()
        yield World(server, shelf, leading(server), gate)
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
    await world.server.arrived("poll")


async def mid_poll(world: World) -> None:
    """The provider works and a question is on its way."""
    world.server.hold("running")
    world.server.arm("poll", held(world.gate))
    await world.server.arrived("poll", world.server.count("poll") + 1)


async def mid_download(world: World) -> None:
    """The provider is done and half of the result has come."""
    world.shelf.arm("file", half(world.gate))
    world.server.hold(None)
    await world.shelf.arrived("file")


async def begin(api: Api, world: World) -> str:
    """Ask for a picture from a provider that does not get far."""
    world.server.hold("queued")
    answer = await api.ask("POST", "/generate/image", {"prompt": "a lighthouse", "aspectRatio": "1:1"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


@pytest.mark.parametrize("stage", [after_submit, mid_poll, mid_download])
async def test_a_killed_worker_s_job_is_paid_once(
    stage: Callable[[World], Awaitable[None]], world: World, tmp_path: Path
) -> None:
    """Killed at this stage, the job succeeds once after a restart, from the one submit there was."""
    with world.service(tmp_path) as service:
        async with service.user("ann") as api:
            job_id = await begin(api, world)
            await world.server.arrived("poll")
            await stage(world)
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


async def test_a_submit_without_an_answer_is_never_repeated(world: World, tmp_path: Path) -> None:
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
