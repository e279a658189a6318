"""The stand-in for OpenAI's images passes with OpenAI's own client, and refuses what the real one refuses."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import openai
import pytest
from openai.types import ImageGenCompletedEvent, ImageGenPartialImageEvent
from PIL import Image

from tests.servers.openai import KEY, OpenAIServer
from tests.servers.standin import Json, answers, cut, dropped, garbled, html, lost, picture

GOOD: Json = {"model": "gpt-image-2.5-flare", "prompt": "a fox", "size": "64x64"}


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer().serving() as server:
        yield server


@pytest.fixture
async def sdk(server: OpenAIServer) -> AsyncIterator[openai.AsyncOpenAI]:
    http = httpx2.AsyncClient(verify=False)
    async with openai.AsyncOpenAI(
        api_key=KEY, base_url=f"{server.url}/v1", max_retries=0, http_client=http
    ) as client:
        yield client


def sides(encoded: str | None) -> tuple[int, int]:
    with Image.open(io.BytesIO(base64.b64decode(encoded or ""))) as image:
        return image.size


async def test_the_sdk_gets_pictures_and_usage(server: OpenAIServer, sdk: openai.AsyncOpenAI) -> None:
    """OpenAI's client reads `n` pictures of the size asked for, and what they took."""
    answer = await sdk.images.generate(**GOOD, n=2)
    assert [sides(image.b64_json) for image in answer.data or []] == [(64, 64)] * 2
    assert answer.usage
    assert answer.usage.total_tokens == 2124
    assert server.charged == 1


async def test_the_sdk_gets_partial_pictures(server: OpenAIServer, sdk: openai.AsyncOpenAI) -> None:
    """OpenAI's client reads typed events of a stream: the partial pictures, then the whole one."""
    server.partials = 2
    stream = await sdk.images.generate(**GOOD, stream=True, partial_images=3)
    events = [event async for event in stream]
    assert [type(event) for event in events] == [ImageGenPartialImageEvent] * 2 + [ImageGenCompletedEvent]
    assert [sides(event.b64_json) for event in events] == [(64, 64)] * 3


async def test_the_sdk_edits_with_references_and_a_mask(
    server: OpenAIServer, sdk: openai.AsyncOpenAI
) -> None:
    """OpenAI's client sends pictures and a mask as a form, streamed or not."""
    mask = io.BytesIO()
    Image.new("RGBA", (64, 64)).save(mask, "PNG")
    images = [("a.png", picture(64, 64), "image/png"), ("b.png", picture(64, 64, shade=1), "image/png")]
    files: Any = {"image": images, "mask": ("mask.png", mask.getvalue(), "image/png")}
    answer = await sdk.images.edit(**GOOD, **files)
    assert len(answer.data or []) == 1
    names = [part.name for part in server.forms[0] if part.filename]
    assert sorted(names) == ["image[]", "image[]", "mask"]
    assert server.forms[0][[part.name for part in server.forms[0]].index("image[]")].data == images[0][1]
    events = [event async for event in await sdk.images.edit(**GOOD, **files, stream=True, partial_images=1)]
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]


MUTANTS: list[tuple[Json, int, str]] = [
    ({"prompt": None}, 400, "invalid_type"),
    ({"prompt": ""}, 400, "missing_required_parameter"),
    ({"style": "vivid"}, 400, "unknown_parameter"),
    ({"response_format": "url"}, 400, "unknown_parameter"),
    ({"seed": 7}, 400, "unknown_parameter"),
    ({"size": "65x64"}, 400, "invalid_value"),
    ({"size": "1024x64"}, 400, "invalid_value"),
    ({"size": "4096x2048"}, 400, "invalid_value"),
    ({"n": 11}, 400, "integer_out_of_range"),
    ({"n": "2"}, 400, "invalid_type"),
    ({"partial_images": 1}, 400, "invalid_value"),
    ({"partial_images": 4, "stream": True}, 400, "integer_out_of_range"),
    ({"model": "dall-e-3"}, 404, "model_not_found"),
    ({"output_format": "bmp"}, 400, "invalid_value"),
    ({"prompt": "something forbidden"}, 400, "moderation_blocked"),
]


@pytest.mark.parametrize(("change", "status", "code"), MUTANTS)
async def test_a_changed_request_is_refused(
    server: OpenAIServer, change: Json, status: int, code: str
) -> None:
    """Each rule: the good request passes, and with one field changed it is refused, in OpenAI's envelope."""
    async with httpx2.AsyncClient(verify=False, headers={"Authorization": f"Bearer {KEY}"}) as http:
        answer = await http.post(f"{server.url}/v1/images/generations", json={**GOOD, **change})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert server.charged == 0


async def test_a_wrong_key_is_refused(server: OpenAIServer) -> None:
    """Without the right key nothing is answered, and OpenAI's client says so."""
    async with openai.AsyncOpenAI(api_key="sk-wrong", base_url=f"{server.url}/v1", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"files": {"mask": ("m.png", picture(64, 64), "image/png")}}, "missing_required_parameter"),
        ({"files": {"image": ("a.gif", b"GIF89a", "image/gif")}}, "unsupported_file_mimetype"),
        ({"files": {"sketch": ("a.png", picture(64, 64), "image/png")}}, "unknown_parameter"),
        (
            {
                "files": [
                    ("image", ("a.png", picture(64, 64), "image/png")),
                    ("mask", ("m.png", picture(64, 64), "image/png")),
                ]
            },
            "invalid_image_file",
        ),
    ],
)
async def test_a_changed_form_is_refused(server: OpenAIServer, form: Any, code: str) -> None:
    """A form without a picture, with a type or a part that is unknown, or a mask without alpha is refused."""
    async with httpx2.AsyncClient(verify=False, headers={"Authorization": f"Bearer {KEY}"}) as http:
        answer = await http.post(f"{server.url}/v1/images/edits", data=GOOD, **form)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code


FAULTS: list[tuple[Any, type[Exception]]] = [
    (answers(429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}), openai.RateLimitError),
    (answers(503, {"error": {"message": "overloaded"}}), openai.InternalServerError),
    (html(502), openai.InternalServerError),
    (dropped(), openai.APIConnectionError),
    (lost(), openai.APIConnectionError),
    (garbled(), json.JSONDecodeError),
]


@pytest.mark.parametrize(("fault", "error"), FAULTS)
async def test_the_sdk_sees_each_fault(
    server: OpenAIServer, sdk: openai.AsyncOpenAI, fault: Callable[..., Any], error: type[Exception]
) -> None:
    """OpenAI's client meets each fault as what it is, and the request after it is answered."""
    server.fail("POST /v1/images", fault)
    with pytest.raises(error):
        await sdk.images.generate(**GOOD)
    assert (await sdk.images.generate(**GOOD)).data


async def test_the_sdk_sees_a_cut_stream(server: OpenAIServer, sdk: openai.AsyncOpenAI) -> None:
    """A stream may be cut after a frame; the call was charged."""
    server.fail("POST /v1/images", cut(after=1))
    stream = await sdk.images.generate(**GOOD, stream=True, partial_images=3)
    assert (await anext(aiter(stream))).type == "image_generation.partial_image"
    with pytest.raises(openai.APIConnectionError):
        await anext(aiter(stream))
    assert server.charged == 1


async def test_the_sdk_sees_an_error_in_a_stream(sdk: openai.AsyncOpenAI) -> None:
    """A picture that the filter refuses ends a stream that has begun with an error event."""
    stream = await sdk.images.generate(**{**GOOD, "prompt": "an unsafe result"}, stream=True)
    with pytest.raises(openai.APIError, match="safety system"):
        _ = [event async for event in stream]
