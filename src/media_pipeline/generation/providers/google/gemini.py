"""The Gemini API: pictures in the answer of a call, films as interactions in the background.

Shapes from Google's Python client 3.4.0 and ai.google.dev/gemini-api/docs; never run against the real one.
A picture's call has no id and no cancel. A film's file is deleted after 48 hours; neither tells a percentage.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from media_pipeline.generation.provider import (
    CancelOutcome,
    ErrorCode,
    GenerationRequest,
    Handle,
    ModelInfo,
    Output,
    ProviderEvent,
    Submitted,
    Submitting,
)
from media_pipeline.generation.providers.access import Access
from media_pipeline.generation.providers.figures import usage_of
from media_pipeline.generation.providers.google.interactions import (
    Interaction,
    film_of,
    film_order,
)
from media_pipeline.generation.providers.google.pictures import decoded, picture_events, picture_order
from media_pipeline.generation.providers.google.refusals import refusal
from media_pipeline.generation.providers.local import refuse_to_resume
from media_pipeline.generation.providers.polling import Polling

CALL_SECONDS: Final = 300.0
SHOW_SECONDS: Final = 60.0
"""How long a completed interaction may show no film: a known fault of the service that mends itself."""


class GeminiProvider:
    """Make media with the models of `access` at Google's Gemini API."""

    name = "google"

    def __init__(self, access: Access) -> None:
        self._access = access
        self._keys = {"x-goog-api-key": access.key}
        self._wire = access.wire(self.name, self._keys)
        self._polling = Polling(access.clock)

    async def models(self) -> Sequence[ModelInfo]:
        return self._access.models

    def generate(self, request: GenerationRequest, model: ModelInfo) -> AsyncGenerator[ProviderEvent, None]:
        return self._picture(request, model) if model.kind == "image" else self._film(request, model)

    def resume(
        self,
        request: GenerationRequest,  # noqa: ARG002 - the protocol's
        model: ModelInfo,
        handle: Handle,
    ) -> AsyncGenerator[ProviderEvent, None]:
        return self._followed(handle) if model.kind == "video" else refuse_to_resume(self.name)

    async def cancel(self, handle: Handle) -> CancelOutcome:
        reply = await self._wire.exchange("POST", f"v1beta/interactions/{handle['id']}/cancel")
        if reply.status in {400, 404, 409}:  # over, or not known any more
            return "too_late"
        if not reply.ok:
            raise refusal(self._wire, reply)
        return "cancelled" if reply.object().get("status") == "cancelled" else "requested"

    async def check(self) -> str:
        reply = await self._wire.exchange("GET", "v1beta/models", params={"pageSize": 1000})
        if not reply.ok:
            raise refusal(self._wire, reply)
        return f"the key works, {len(reply.object().get('models', ()))} models"

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def _picture(
        self, request: GenerationRequest, model: ModelInfo
    ) -> AsyncGenerator[ProviderEvent, None]:
        images = [(image.content_type, await self._access.read_input(image)) for image in request.images]
        order = picture_order(request, model, images)
        yield Submitting()
        answer = await self._asked(f"v1beta/models/{model.id}:generateContent", order, seconds=CALL_SECONDS)
        for event in picture_events(self._wire, answer, seed=request.seed):
            yield event

    async def _film(
        self, request: GenerationRequest, model: ModelInfo
    ) -> AsyncGenerator[ProviderEvent, None]:
        images = [
            (image.role, image.content_type, await self._access.read_input(image)) for image in request.images
        ]
        order = film_order(request, model, images)
        yield Submitting()
        taken = await self._asked("v1beta/interactions", order)
        if not isinstance(taken.get("id"), str):
            raise self._wire.error(ErrorCode.NETWORK, "google answered without an interaction.")
        handle = {"id": taken["id"]}
        yield Submitted(handle)
        async with aclosing(self._followed(handle)) as events:
            async for event in events:
                yield event

    async def _asked(self, path: str, order: Mapping[str, Any], *, seconds: float = 60.0) -> dict[str, Any]:
        reply = await self._wire.exchange("POST", path, json=order, seconds=seconds)
        if not reply.ok:
            raise refusal(self._wire, reply)
        if not isinstance(answer := reply.json(), dict):
            raise self._wire.error(ErrorCode.NETWORK, "google answered with something that is not JSON.")
        return answer

    async def _followed(self, handle: Handle) -> AsyncGenerator[ProviderEvent, None]:
        """Tell how an interaction goes until its film is there."""
        address, seen = f"v1beta/interactions/{handle['id']}", Interaction(self._wire)
        since: float | None = None
        film: Mapping[str, Any] = {}
        async with aclosing(self._polling.watch(lambda: self._wire.ask_object("GET", address))) as answers:
            async for answer in answers:
                for event in seen.news(answer):
                    yield event
                if answer.get("status") == "completed":
                    if film := film_of(answer):
                        break
                    since = since or self._access.clock.monotonic()
                    if self._access.clock.monotonic() - since > SHOW_SECONDS:
                        raise self._wire.error(ErrorCode.BAD_OUTPUT, "google finished without a film.")
        yield await self._output(film)
        if usage := usage_of(answer.get("usage")):
            yield usage

    async def _output(self, film: Mapping[str, Any]) -> Output:
        kind = str(film.get("mime_type") or "video/mp4")
        if film.get("data"):
            return Output(index=0, content_type=kind, data=decoded(self._wire, film["data"]))
        named = re.search(r"files/([A-Za-z0-9_-]+)", str(film.get("uri")))
        if named is None:
            raise self._wire.error(ErrorCode.BAD_OUTPUT, "google finished with a film that is nowhere.")
        address = f"v1beta/files/{named[1]}"
        await self._active(address)
        url = self._wire.locate(f"{address}:download?alt=media")
        return Output(index=0, content_type=kind, url=url, url_headers=self._keys)

    async def _active(self, address: str) -> None:
        """Wait until a file can be downloaded."""
        async with aclosing(self._polling.watch(lambda: self._wire.ask_object("GET", address))) as answers:
            async for file in answers:
                if file.get("state") == "FAILED":
                    raise self._wire.error(ErrorCode.BAD_OUTPUT, "google could not process the film's file.")
                if file.get("state") != "PROCESSING":
                    return
