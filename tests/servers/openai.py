"""A server that speaks the wire format of OpenAI's Images API (openai-python 3.54.0, August 2026).

`POST /v1/images/generations` (JSON), `POST /v1/images/edits` (form), `GET /v1/models`; answers are JSON
or, with `stream`, server-sent events with partial pictures. What the real one refuses is refused here in its
words.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.servers.standin import Json, Part, ProviderServer, picture, read_form, sse

KEY = "sk-test-0123456789"
MODELS = ("gpt-image-2.5-flare", "gpt-image-2", "gpt-image-1-mini")
GONE = ("gpt-image-1", "dall-e-3")
FIELDS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "prompt": str,
    "n": int,
    "size": str,
    "quality": str,
    "background": str,
    "output_format": str,
    "output_compression": int,
    "moderation": str,
    "stream": bool,
    "partial_images": int,
    "safety_identifier": str,
    "user": str,
}
FILES = {"image", "image[]", "mask"}
WHOLE_NUMBERS = {"n", "partial_images", "output_compression"}
FORBIDDEN = "forbidden"
"""The filter of prompts refuses this word, that of pictures the words `unsafe result`."""


class Refusal(Exception):
    """An error in OpenAI's envelope."""

    def __init__(
        self, status: int, code: str | None, message: str, *, kind: str = "", param: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {
                "message": message,
                "type": kind or "invalid_request_error",
                "param": param or None,
                "code": code,
            }
        }


@dataclass(eq=False)
class OpenAIServer(ProviderServer):
    """OpenAI's images; `partials` is how many partial pictures it gets to, at most those asked for."""

    partials: int = 3
    gate: asyncio.Event | None = None
    """When there is one, the last picture waits for it."""
    bodies: list[Json] = field(default_factory=list)
    forms: list[list[Part]] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/images/generations", self.generate, methods=["POST"]),
                Route("/v1/images/edits", self.edit, methods=["POST"]),
                Route("/v1/models", self.models),
            ],
            exception_handlers={Refusal: _refused},
        )

    async def models(self, request: Request) -> Response:
        _authorize(request)
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})

    async def generate(self, request: Request) -> Response:
        _authorize(request)
        try:
            body = json.loads(await request.body())
        except ValueError:
            raise Refusal(400, None, "We could not parse the JSON body of your request.") from None
        self.bodies.append(body)
        return await self._answer(_checked(body), "image_generation")

    async def edit(self, request: Request) -> Response:
        _authorize(request)
        form = await read_form(request)
        self.forms.append(form)
        texts = {part.name: part.data.decode() for part in form if part.filename is None}
        body = _checked({name: _read(name, text) for name, text in texts.items()})
        files = [part for part in form if part.filename is not None]
        _check_files(files)
        return await self._answer(body, "image_edit")

    async def _answer(self, body: Json, family: str) -> Response:
        if FORBIDDEN in body["prompt"]:
            raise _moderated("Your request was rejected by the safety system. safety_violations=[violence].")
        self.charged += 1
        if body.get("stream"):
            return StreamingResponse(self._frames(body, family), media_type="text/event-stream")
        await self._wait()
        if "unsafe result" in body["prompt"]:
            raise _moderated("The generated image was rejected by the safety system.")
        data = [{"b64_json": _picture(body, shade)} for shade in range(body.get("n", 1))]
        return JSONResponse(
            {"created": 1_795_000_000, "data": data, "usage": _usage(len(data)), **_echo(body)},
            headers={"x-request-id": "req_1"},
        )

    async def _frames(self, body: Json, family: str) -> AsyncIterator[bytes]:
        for number in range(min(self.partials, body.get("partial_images", 0))):
            partial = {"partial_image_index": number, "b64_json": _picture(body, 100 + number)}
            yield _frame(f"{family}.partial_image", body, partial)
        await self._wait()
        if "unsafe result" in body["prompt"]:
            error = _moderated("The generated image was rejected by the safety system.").body["error"]
            yield sse("error", json.dumps({"type": "error", "error": error}))
            return
        yield _frame(f"{family}.completed", body, {"b64_json": _picture(body, 0), "usage": _usage(1)})

    async def _wait(self) -> None:
        if self.gate is not None:
            await self.gate.wait()


def _frame(kind: str, body: Json, more: Json) -> bytes:
    return sse(kind, json.dumps({"type": kind, "created_at": 1_795_000_000, **_echo(body), **more}))


def _echo(body: Json) -> Json:
    return {
        "size": body.get("size", "1024x1024"),
        "quality": body.get("quality", "high"),
        "background": body.get("background", "opaque"),
        "output_format": body.get("output_format", "png"),
    }


def _usage(pictures: int) -> Json:
    out = 1056 * pictures
    details = {"image_tokens": 0, "text_tokens": 12}
    return {
        "input_tokens": 12,
        "output_tokens": out,
        "total_tokens": 12 + out,
        "input_tokens_details": details,
    }


def _picture(body: Json, shade: int) -> str:
    size = body.get("size", "1024x1024").replace("auto", "1024x1024")
    width, height = map(int, size.split("x"))
    kind = body.get("output_format", "png").upper()
    return base64.b64encode(picture(width, height, shade=shade, kind=kind)).decode()


async def _refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return JSONResponse(refusal.body, refusal.status, {"x-request-id": "req_1", "x-should-retry": "false"})


def _authorize(request: Request) -> None:
    if request.headers.get("authorization") != f"Bearer {KEY}":
        raise Refusal(401, "invalid_api_key", "Incorrect API key provided: sk-wrong.")


def _moderated(message: str) -> Refusal:
    return Refusal(400, "moderation_blocked", message, kind="image_generation_user_error")


def _read(name: str, text: str) -> Any:
    """A form's fields are texts: numbers and truth are read from them."""
    if name in WHOLE_NUMBERS and text.isdecimal():
        return int(text)
    return text == "true" if name == "stream" else text


def _checked(body: Json) -> Json:
    for name, value in body.items():
        if name not in FIELDS:
            raise Refusal(400, "unknown_parameter", f"Unknown parameter: '{name}'.", param=name)
        if not isinstance(value, FIELDS[name]) or (FIELDS[name] is int and isinstance(value, bool)):
            raise Refusal(400, "invalid_type", f"Invalid type for '{name}'.", param=name)
    if not body.get("prompt"):
        raise Refusal(
            400, "missing_required_parameter", "Missing required parameter: 'prompt'.", param="prompt"
        )
    model = body.get("model", MODELS[0])
    if model not in MODELS:
        word = "has been deprecated" if model in GONE else "does not exist"
        raise Refusal(404, "model_not_found", f"The model '{model}' {word}.", param="model")
    _check_ranges(body)
    return body


def _check_ranges(body: Json) -> None:
    size = body.get("size", "auto")
    if size != "auto" and not _is_size(size):
        raise Refusal(400, "invalid_value", f"Invalid size '{size}'.", param="size")
    if not 1 <= body.get("n", 1) <= 10:
        raise Refusal(400, "integer_out_of_range", "Invalid 'n': expected 1 to 10.", param="n")
    if not 0 <= body.get("partial_images", 0) <= 3:
        raise Refusal(400, "integer_out_of_range", "Invalid 'partial_images'.", param="partial_images")
    if body.get("partial_images") and not body.get("stream"):
        raise Refusal(400, "invalid_value", "'partial_images' needs 'stream'.", param="partial_images")
    if body.get("stream") and body.get("n", 1) > 1:
        raise Refusal(400, "invalid_value", "Streaming makes one image at a time.", param="n")
    if body.get("output_format", "png") not in {"png", "jpeg", "webp"}:
        raise Refusal(400, "invalid_value", "Invalid value for 'output_format'.", param="output_format")


def _is_size(size: str) -> bool:
    if not re.fullmatch(r"\d+x\d+", size):
        return False
    width, height = map(int, size.split("x"))
    wide, narrow = max(width, height), min(width, height)
    return narrow > 0 and not width % 16 and not height % 16 and wide <= 3 * narrow and wide <= 3840


def _check_files(files: list[Part]) -> None:
    for part in files:
        if part.name not in FILES:
            raise Refusal(400, "unknown_parameter", f"Unknown parameter: '{part.name}'.", param=part.name)
        if part.content_type not in {"image/png", "image/jpeg", "image/webp"}:
            raise Refusal(400, "unsupported_file_mimetype", f"Unsupported mimetype ('{part.content_type}').")
    pictures = [part for part in files if part.name != "mask"]
    if not pictures:
        raise Refusal(
            400, "missing_required_parameter", "Missing required parameter: 'image'.", param="image"
        )
    for mask in [part for part in files if part.name == "mask"]:
        with Image.open(io.BytesIO(mask.data)) as cut, Image.open(io.BytesIO(pictures[0].data)) as whole:
            if "A" not in cut.getbands() or cut.size != whole.size:
                raise Refusal(
                    400, "invalid_image_file", "The mask needs an alpha channel and the image's size."
                )
