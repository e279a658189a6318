"""The stand-in for `/videos` passes with OpenAI's own client, and refuses what a real one refuses."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import av
import httpx2
import openai
import pytest

from tests.servers.openai_video import KEY, MODEL, OpenAIVideoServer
from tests.servers.standin import answers, dropped, html, picture

GOOD = {"prompt": "a fox", "model": MODEL, "size": "64x64", "seconds": "1"}


@pytest.fixture
async def server() -> AsyncIterator[OpenAIVideoServer]:
    async with OpenAIVideoServer().serving() as server:
        yield server


@pytest.fixture
async def sdk(server: OpenAIVideoServer) -> AsyncIterator[openai.AsyncOpenAI]:
    http = httpx2.AsyncClient(verify=False)
    base = f"{server.url}/v1"
    async with openai.AsyncOpenAI(api_key=KEY, base_url=base, max_retries=0, http_client=http) as client:
        yield client


pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


async def test_the_sdk_makes_a_video(server: OpenAIVideoServer, sdk: openai.AsyncOpenAI) -> None:
    """OpenAI's client submits, polls as fast as the server says, and downloads a film of the size asked."""
    fields: Any = {**GOOD, "input_reference": ("a.png", picture(64, 64), "image/png")}
    video = await sdk.videos.create_and_poll(**fields)
    assert (video.status, video.progress) == ("completed", 100)
    content = await sdk.videos.download_content(video.id)
    with av.open(io.BytesIO(content.content), "r") as made:
        frame = next(made.decode(video=0))
        assert (frame.width, frame.height) == (64, 64)
    assert server.videos[video.id].form["input_reference"].data == picture(64, 64)
    assert server.charged == 1


async def test_the_sdk_sees_each_stage(server: OpenAIVideoServer, sdk: openai.AsyncOpenAI) -> None:
    """Each look moves the job one stage; held, it stays, and its content is not there yet."""
    server.held = "in_progress"
    fields: Any = GOOD
    video = await sdk.videos.create(**fields)
    looks = [await sdk.videos.retrieve(video.id) for _ in range(3)]
    assert [video.status, *(look.status for look in looks)] == ["queued", *["in_progress"] * 3]
    with pytest.raises(openai.ConflictError):
        await sdk.videos.download_content(video.id)
    assert (await sdk.videos.delete(video.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await sdk.videos.retrieve(video.id)


async def test_the_sdk_sees_a_failure(server: OpenAIVideoServer, sdk: openai.AsyncOpenAI) -> None:
    """A job that fails says why in `error`."""
    server.refusal = {"code": "moderation_blocked", "message": "The video was blocked."}
    fields: Any = GOOD
    video = await sdk.videos.create_and_poll(**fields)
    assert video.error
    assert (video.status, video.error.code) == ("failed", "moderation_blocked")


async def test_content_expires(server: OpenAIVideoServer, sdk: openai.AsyncOpenAI) -> None:
    """Content that is kept no longer is not found."""
    fields: Any = GOOD
    video = await sdk.videos.create_and_poll(**fields)
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
    async with httpx2.AsyncClient(verify=False, headers={"Authorization": f"Bearer {KEY}"}) as http:
        fields = {name: (None, value) for name, value in {**GOOD, **change}.items()}
        answer = await http.post(f"{server.url}/v1/videos", files=fields)
        assert answer.json()["error"]["code"] == code
        assert server.charged == 0
        assert (await http.post(f"{server.url}/v1/videos", data=GOOD)).status_code == 415


async def test_extensions_are_taken_only_where_they_are_known(server: OpenAIVideoServer) -> None:
    """What vLLM-Omni adds is taken by a server that has it and refused by one that has not."""
    fields = {name: (None, value) for name, value in {**GOOD, "seed": "7", "fps": "8"}.items()}
    async with httpx2.AsyncClient(verify=False, headers={"Authorization": f"Bearer {KEY}"}) as http:
        assert (await http.post(f"{server.url}/v1/videos", files=fields)).status_code == 200
        server.extensions = False
        assert (await http.post(f"{server.url}/v1/videos", files=fields)).status_code == 400


async def test_a_wrong_key_is_refused(server: OpenAIVideoServer) -> None:
    """Without the right key no route answers."""
    async with httpx2.AsyncClient(verify=False, base_url=server.url) as http:
        fields = {name: (None, value) for name, value in GOOD.items()}
        asked = [
            await http.get("/v1/models"),
            await http.post("/v1/videos", files=fields),
            await http.get("/v1/videos/x"),
            await http.get("/v1/videos/x/content"),
            await http.delete("/v1/videos/x"),
        ]
    assert {answer.status_code for answer in asked} == {401}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answers(429, {"error": {"message": "slow"}}, retry_after="7"), openai.RateLimitError),
        (html(502), openai.InternalServerError),
        (dropped(), openai.APIConnectionError),
    ],
)
async def test_the_sdk_sees_each_fault(
    server: OpenAIVideoServer, sdk: openai.AsyncOpenAI, fault: Any, error: type[Exception]
) -> None:
    """OpenAI's client meets each fault as what it is."""
    server.fail("POST /v1/videos", fault)
    fields: Any = GOOD
    with pytest.raises(error):
        await sdk.videos.create(**fields)
    assert server.charged == 0
