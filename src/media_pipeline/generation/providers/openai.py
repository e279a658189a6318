"""OpenAI's images: generations and edits, one picture streamed with its partial pictures.

Shapes from its OpenAPI file and its Python client 3.54.0; never run against the real service here. A call
lives as long as its connection: there is no id to resume by, and closing the connection is the only cancel,
after which it may still be charged. Partial pictures are no fraction, so there is no percentage.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

import httpx2
import msgspec

from media_pipeline.generation.fitting import resolve_size
from media_pipeline.generation.provider import (
    CancelOutcome,
    ErrorCode,
    GenerationRequest,
    Handle,
    ModelInfo,
    Output,
    Preview,
    ProviderEvent,
    Running,
    Submitting,
)
from media_pipeline.generation.providers.access import Access
from media_pipeline.generation.providers.figures import usage_of
from media_pipeline.generation.providers.local import refuse_to_resume
from media_pipeline.generation.providers.masks import with_alpha
from media_pipeline.generation.providers.openai_errors import reason_of
from media_pipeline.generation.providers.wire import MAX_ANSWER, Reply, find_message
from media_pipeline.jsonvalue import Json

CALL_SECONDS: Final = 600.0
"""A picture of high quality may take minutes; OpenAI's own client waits as long."""
FORMAT: Final = "png"
PARTIALS: Final = 2
"""Partial pictures of a streamed one; each costs some tokens more."""

Part = tuple[str, tuple[str, bytes, str]]
"""A file of a form: its field, name, bytes and type."""


class OpenAIProvider:
    """Make pictures with the models of `access` at OpenAI, or at a server that speaks the same."""

    name = "openai"

    def __init__(self, access: Access) -> None:
        self._access = access
        self._wire = access.wire(self.name, {"Authorization": f"Bearer {access.key}"})

    async def models(self) -> Sequence[ModelInfo]:
        return self._access.models

    async def generate(
        self, request: GenerationRequest, model: ModelInfo
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Ask once; one picture is streamed, several come together without partial ones."""
        fields = _fields(request, model)
        path, content = _call(fields, await self._files(request))
        yield Submitting()
        call = self._wire.open("POST", path, seconds=CALL_SECONDS, **content)
        async with call as response, aclosing(self._read(response)) as events:
            async for event in events:
                yield event

    def resume(
        self,
        request: GenerationRequest,  # noqa: ARG002 - the protocol's
        model: ModelInfo,  # noqa: ARG002 - the protocol's
        handle: Handle,  # noqa: ARG002 - the protocol's
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Refuse: nothing of a call outlives its connection."""
        return refuse_to_resume(self.name)

    async def cancel(self, handle: Handle) -> CancelOutcome:  # noqa: ARG002 - the protocol's
        """Refuse: closing the connection is all there is."""
        return "unsupported"

    async def check(self) -> str:
        listed = await self._wire.ask_object("GET", "models")
        return f"the key works, {len(listed.get('data', ()))} models"

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def _files(self, request: GenerationRequest) -> list[Part]:
        """Return the request's pictures as the parts of a form, what is edited first."""
        data = {image: await self._access.read_input(image) for image in request.images}
        whole = [image for image in request.images if image.role != "mask"]
        whole.sort(key=lambda image: image.role != "init")
        parts = [
            ("image[]", (f"image_{place}", data[image], image.content_type))
            for place, image in enumerate(whole)
        ]
        for mask in [image for image in request.images if image.role == "mask"]:
            if not whole:
                raise self._wire.error(ErrorCode.INVALID_REQUEST, "A mask needs an image that it lies over.")
            cut = await asyncio.to_thread(with_alpha, data[mask], over=data[whole[0]])
            parts.append(("mask", ("mask.png", cut, "image/png")))
        return parts

    async def _read(self, response: httpx2.Response) -> AsyncGenerator[ProviderEvent, None]:
        kind = response.headers.get("content-type", "")
        if response.is_success and kind.startswith("text/event-stream"):
            yield Running()
            async with aclosing(self._streamed(response)) as events:
                async for event in events:
                    yield event
            return
        reply = await _whole(response)
        if not reply.ok:
            raise self._wire.refusal(reply, reason_of(reply.json(), of_result=False))
        for event in self._made(reply.json()):
            yield event

    async def _streamed(self, response: httpx2.Response) -> AsyncGenerator[ProviderEvent, None]:
        async for frame in httpx2.EventSource(response, max_event_size=MAX_ANSWER):
            event = self._decoded(frame.data)
            match str(event.get("type")).rpartition(".")[2]:
                case "partial_image":
                    yield Preview(0, self._picture(event), _type(event))
                case "completed":
                    yield Output(index=0, content_type=_type(event), data=self._picture(event))
                    if usage := usage_of(event.get("usage")):
                        yield usage
                    return
                case "error":
                    reason = reason_of(event, of_result=True) or ErrorCode.PROVIDER
                    raise self._wire.error(reason, f"openai: {find_message(event) or 'it failed'}")
                case _:
                    pass
        raise self._wire.error(ErrorCode.NETWORK, "The stream of openai ended before the picture came.")

    def _made(self, body: Any) -> list[ProviderEvent]:
        match body:
            case {"data": [*items]}:
                found = [item for item in items if isinstance(item, Mapping)]
            case _:
                raise self._wire.error(
                    ErrorCode.NETWORK, "openai answered with something that is no picture."
                )
        outputs: list[ProviderEvent] = [
            Output(index=index, content_type=_type(body), data=self._picture(item))
            for index, item in enumerate(found)
        ]
        return [*outputs, usage] if (usage := usage_of(body.get("usage"))) else outputs

    def _picture(self, item: Mapping[str, Any]) -> bytes:
        try:
            return base64.b64decode(item["b64_json"], validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise self._wire.error(ErrorCode.BAD_OUTPUT, "openai sent a picture without bytes.") from None

    def _decoded(self, data: str) -> dict[str, Any]:
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except msgspec.DecodeError:
            raise self._wire.error(ErrorCode.NETWORK, "The stream of openai cannot be read.") from None


def _fields(request: GenerationRequest, model: ModelInfo) -> dict[str, Json]:
    width, height = resolve_size(request, model)
    fields: dict[str, Json] = {
        "model": model.id,
        "prompt": request.prompt,
        "size": f"{width}x{height}",
        "output_format": FORMAT,
        # what OpenAI asks for, to tell one bad user from a bad service, without telling it who that is
        "safety_identifier": hashlib.sha256(request.user_id.encode()).hexdigest(),
        **model.wire.get("fixed", {}),
    }
    if request.n > 1:
        return fields | {"n": request.n}
    if model.previews:
        return fields | {"stream": True, "partial_images": model.wire.get("partials", PARTIALS)}
    return fields


def _call(fields: Mapping[str, Json], files: list[Part]) -> tuple[str, dict[str, Any]]:
    if not files:
        return "images/generations", {"json": fields}
    return "images/edits", {"data": {name: _text(value) for name, value in fields.items()}, "files": files}


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _whole(response: httpx2.Response) -> Reply:
    return Reply(response.status_code, response.headers, await response.aread())


def _type(answer: Mapping[str, Any]) -> str:
    return f"image/{answer.get('output_format') or FORMAT}"
