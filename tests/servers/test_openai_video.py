"""The fake of `/videos` passes with OpenAI's own client, and refuses what a real one refuses."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import av
import httpx2
import openai
import pytest

from tests.servers.media import Shelf, still
from tests.servers.openai_video import OpenAIVideoServer
from tests.servers.web import HTML_PAGE, LOST, Fault

GOOD: dict[str, Any] = {"prompt": "a fox", "model": "wan2.2-t2v", "size": "64x64", "seconds": "1"}

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


@pytest.fixture(scope="module")
def serving() -> Iterator[OpenAIVideoServer]:
    with Shelf.served() as shelf, OpenAIVideoServer.served(shelf) as server:
        yield server


@pytest.fixture
def server(serving: OpenAIVideoServer) -> OpenAIVideoServer:
    serving.hold(None)
    serving.billed, serving.extensions, serving.expired = 0, True, False
    return serving


@pytest.fixture
async def sdk(server: OpenAIVideoServer) -> AsyncIterator[openai.AsyncOpenAI]:
    http, base = httpx2.AsyncClient(verify=False), f"{server.url}/v1"
    async with openai.AsyncOpenAI(
        api_key=server.key, base_url=base, max_retries=0, http_client=http
    ) as client:
        yield client


def plain(server: OpenAIVideoServer, key: str = "") -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {key or server.key}"}
    return httpx2.AsyncClient(verify=False, base_url=server.url, headers=headers)


def form(**fields: str) -> dict[str, tuple[None, str]]:
    return {name: (None, value) for name, value in {**GOOD, **fields}.items()}


async def test_the_sdk_makes_a_video(server: OpenAIVideoServer, sdk: openai.AsyncOpenAI) -> None:
    """OpenAI's client submits, polls as fast as the server says, and downloads a film of the size asked."""
    reference = ("a.png", still(0, 64, 64), "image/png")
    video = await sdk.videos.create_and_poll(**GOOD, input_reference=reference)
    assert (video.status, video.progress) == ("completed", 100)
    content = await sdk.videos.download_content(video.id)
    with av.open(io.BytesIO(content.content), "r") as made:
        frame = next(made.decode(video=0))
        assert (frame.width, frame.height) == (64, 64)
    assert server.videos[video.id].form["input_reference"].data == reference[1]
    assert server.billed == 1


async def test_the_sdk_sees_each_stage(server: OpenAIVideoServer, sdk: openai.AsyncOpenAI) -> None:
    """Each look moves the job on; held, it stays, and its content is not there yet; deleted, it is gone."""
    server.hold("running")
    video = await sdk.videos.create(**GOOD)
    looks = [await sdk.videos.retrieve(video.id) for _ in range(4)]
    assert [look.status for look in looks] == ["queued", *["in_progress"] * 3]
    with pytest.raises(openai.ConflictError):
        await sdk.videos.download_content(video.id)
    assert (await sdk.videos.delete(video.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await sdk.videos.retrieve(video.id)


@pytest.mark.parametrize("ending", OpenAIVideoServer.ENDINGS)
async def test_the_sdk_sees_a_failure(
    server: OpenAIVideoServer, sdk: openai.AsyncOpenAI, ending: str
) -> None:
    """A job that fails says why in `error`."""
    server.end_next(ending)
    video = await sdk.videos.create_and_poll(**GOOD)
    assert video.error
    assert (video.status, video.error.code) == ("failed", ending)


async def test_content_expires(server: OpenAIVideoServer, sdk: openai.AsyncOpenAI) -> None:
    """Content that is kept no longer is not found."""
    video = await sdk.videos.create_and_poll(**GOOD)
    server.expired = True
    with pytest.raises(openai.NotFoundError):
        await sdk.videos.download_content(video.id)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"prompt": ""}, "missing_required_parameter"),
        ({"model": "sora-2"}, "model_not_found"),
        ({"size": "wide"}, "invalid_value"),
        ({"seconds": "long"}, "invalid_value"),
        ({"n": "2"}, "unknown_parameter"),
        ({"prompt": "forbidden"}, "moderation_blocked"),
    ],
)
async def test_a_changed_request_is_refused(
    server: OpenAIVideoServer, change: dict[str, str], code: str
) -> None:
    """Each rule: the good form passes, and with one field changed it is refused and not charged."""
    async with plain(server) as http:
        answer = await http.post("/v1/videos", files=form(**change))
        assert answer.json()["error"]["code"] == code
        assert (await http.post("/v1/videos", data=GOOD)).status_code == 415
        assert server.billed == 0
        assert (await http.post("/v1/videos", files=form())).status_code == 200


async def test_extensions_are_taken_only_where_they_are_known(server: OpenAIVideoServer) -> None:
    """What vLLM-Omni adds is taken by a server that has it and refused by one that has not."""
    async with plain(server) as http:
        assert (await http.post("/v1/videos", files=form(seed="7", fps="8"))).status_code == 200
        server.extensions = False
        assert (await http.post("/v1/videos", files=form(seed="7", fps="8"))).status_code == 400


async def test_a_wrong_key_is_refused(server: OpenAIVideoServer) -> None:
    """Without the right key no route answers."""
    async with plain(server, "wrong") as http:
        asked = [
            await http.get("/v1/models"),
            await http.post("/v1/videos", files=form()),
            await http.get("/v1/videos/x"),
            await http.get("/v1/videos/x/content"),
            await http.delete("/v1/videos/x"),
        ]
    assert {answer.status_code for answer in asked} == {401}


@pytest.mark.parametrize("name", OpenAIVideoServer.FAULTS)
async def test_the_sdk_sees_each_refusal(
    server: OpenAIVideoServer, sdk: openai.AsyncOpenAI, name: str
) -> None:
    """OpenAI's client reads each refusal as an error of its status."""
    fault, _ = server.FAULTS[name]
    server.arm("submit", fault)
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.videos.create(**GOOD)
    assert fault.answer
    assert caught.value.status_code == fault.answer.status
    assert server.billed == 0


@pytest.mark.parametrize(("fault", "error"), [(HTML_PAGE, openai.APIStatusError), (LOST, openai.APIError)])
async def test_the_sdk_sees_each_fault(
    server: OpenAIVideoServer, sdk: openai.AsyncOpenAI, fault: Fault, error: type[Exception]
) -> None:
    """OpenAI's client meets a proxy's page and a lost answer as what they are."""
    server.arm("submit", fault)
    with pytest.raises(error):
        await sdk.videos.create(**GOOD)
