"""The fake of OpenAI's images passes with OpenAI's own client, and refuses what the real one refuses."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import openai
import pytest
from openai.types import ImageGenCompletedEvent, ImageGenPartialImageEvent
from PIL import Image

from tests.servers.media import Shelf, still
from tests.servers.openai import OpenAIServer
from tests.servers.web import CUT, HTML_PAGE, LOST, MALFORMED, Fault

GOOD: dict[str, Any] = {"model": "gpt-image-2.5-flare", "prompt": "a fox", "size": "64x64"}


@pytest.fixture(scope="module")
def serving() -> Iterator[OpenAIServer]:
    with Shelf.served() as shelf, OpenAIServer.served(shelf) as server:
        yield server


@pytest.fixture
def server(serving: OpenAIServer) -> OpenAIServer:
    serving.billed, serving.partials = 0, 3
    serving.forms.clear()
    return serving


@pytest.fixture
async def sdk(server: OpenAIServer) -> AsyncIterator[openai.AsyncOpenAI]:
    http, base = httpx2.AsyncClient(verify=False), f"{server.url}/v1"
    async with openai.AsyncOpenAI(
        api_key=server.key, base_url=base, max_retries=0, http_client=http
    ) as client:
        yield client


def plain(server: OpenAIServer) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx2.AsyncClient(verify=False, base_url=server.url, headers=headers)


def sides(encoded: str | None) -> tuple[int, int]:
    with Image.open(io.BytesIO(base64.b64decode(encoded or ""))) as image:
        return image.size


async def test_the_sdk_gets_pictures_and_usage(server: OpenAIServer, sdk: openai.AsyncOpenAI) -> None:
    """OpenAI's client reads `n` pictures of the size asked for, and what they took."""
    answer = await sdk.images.generate(**GOOD, n=2)
    assert [sides(image.b64_json) for image in answer.data or []] == [(64, 64)] * 2
    assert answer.usage
    assert answer.usage.total_tokens == 2124
    assert server.billed == 1


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
    images = [("a.png", still(0, 64, 64), "image/png"), ("b.png", still(1, 64, 64), "image/png")]
    files: Any = {"image": images, "mask": ("mask.png", mask.getvalue(), "image/png")}
    answer = await sdk.images.edit(**GOOD, **files)
    assert len(answer.data or []) == 1
    sent = [(part.name, part.data) for part in server.forms[0] if part.filename]
    assert sorted(sent) == sorted(
        [("image[]", images[0][1]), ("image[]", images[1][1]), ("mask", mask.getvalue())]
    )
    events = [event async for event in await sdk.images.edit(**GOOD, **files, stream=True, partial_images=1)]
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
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
        ({"n": 2, "stream": True}, 400, "invalid_value"),
        ({"partial_images": 1}, 400, "invalid_value"),
        ({"partial_images": 4, "stream": True}, 400, "integer_out_of_range"),
        ({"model": "dall-e-3"}, 404, "model_not_found"),
        ({"output_format": "bmp"}, 400, "invalid_value"),
        ({"prompt": "something forbidden"}, 400, "moderation_blocked"),
    ],
)
async def test_a_changed_request_is_refused(
    server: OpenAIServer, change: dict[str, Any], status: int, code: str
) -> None:
    """Each rule: the good request passes, and with one field changed it is refused, in OpenAI's envelope."""
    async with plain(server) as http:
        answer = await http.post("/v1/images/generations", json={**GOOD, **change})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert server.billed == 0


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"mask": ("m.png", still(0, 64, 64), "image/png")}, "missing_required_parameter"),
        ({"image": ("a.gif", b"GIF89a", "image/gif")}, "unsupported_file_mimetype"),
        ({"sketch": ("a.png", still(0, 64, 64), "image/png")}, "unknown_parameter"),
        (
            {name: ("a.png", still(0, 64, 64), "image/png") for name in ("image", "mask")},
            "invalid_image_file",
        ),
    ],
)
async def test_a_changed_form_is_refused(server: OpenAIServer, files: Any, code: str) -> None:
    """A form without a picture, with a type or a part that is unknown, or a mask without alpha is refused."""
    async with plain(server) as http:
        answer = await http.post("/v1/images/edits", data=GOOD, files=files)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_a_wrong_key_is_refused(server: OpenAIServer, sdk: openai.AsyncOpenAI) -> None:
    """Without the right key nothing is answered, and OpenAI's client says so."""
    with pytest.raises(openai.AuthenticationError):
        await sdk.with_options(api_key="sk-wrong").models.list()


@pytest.mark.parametrize("name", OpenAIServer.FAULTS)
async def test_the_sdk_sees_each_refusal(server: OpenAIServer, sdk: openai.AsyncOpenAI, name: str) -> None:
    """OpenAI's client reads each refusal as an error of its status, and the request after it is answered."""
    fault, _ = server.FAULTS[name]
    server.arm("submit", fault)
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.images.generate(**GOOD)
    assert fault.answer
    assert caught.value.status_code == fault.answer.status
    assert (await sdk.images.generate(**GOOD)).data


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (LOST, openai.APIConnectionError),
        (CUT, openai.APIConnectionError),
        (HTML_PAGE, openai.InternalServerError),
        (MALFORMED, json.JSONDecodeError),
    ],
)
async def test_the_sdk_sees_each_fault(
    server: OpenAIServer, sdk: openai.AsyncOpenAI, fault: Fault, error: type[Exception]
) -> None:
    """OpenAI's client meets each fault of the wire as what it is."""
    server.arm("submit", fault)
    with pytest.raises(error):
        await sdk.images.generate(**GOOD)


async def test_the_sdk_sees_a_cut_stream(server: OpenAIServer, sdk: openai.AsyncOpenAI) -> None:
    """A stream may be cut after a frame; the call was charged."""
    server.arm("submit", Fault(bend=lambda true: replace(true, cut=len(true.body) - 200)))
    stream = aiter(await sdk.images.generate(**GOOD, stream=True, partial_images=1))
    assert (await anext(stream)).type == "image_generation.partial_image"
    with pytest.raises(openai.APIConnectionError):
        await anext(stream)
    assert server.billed == 1


async def test_the_sdk_sees_a_blocked_picture(server: OpenAIServer, sdk: openai.AsyncOpenAI) -> None:
    """A picture that the filter keeps back ends a stream with an error event, and a plain call with 400."""
    server.end_next("picture blocked")
    with pytest.raises(openai.BadRequestError, match="safety system"):
        await sdk.images.generate(**GOOD)
    server.end_next("picture blocked")
    stream = await sdk.images.generate(**GOOD, stream=True)
    with pytest.raises(openai.APIError, match="safety system"):
        _ = [event async for event in stream]
