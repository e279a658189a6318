"""The OpenAI-compatible `/videos`: jobs that are submitted as a form, polled, and downloaded.

OpenAI shut its own service down on 2026-09-24; the shape lives on in vLLM-Omni, LiteLLM and gateways
(OpenAI's Python client 3.54.0; vLLM-Omni's docs/serving/videos_api.md). Never run against a real one here.
`progress` is the server's own percentage and told as it is. There is no cancel but deleting the job,
which a server may take as a wish.

A model's `wire` may say: `unnamed = true`, to leave the model to the server; `extensions`, which of
vLLM-Omni's fields (seed, fps, num_frames, negative_prompt, width, height) it takes; `fixed`, fields
that are always sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from media_pipeline.generation.fitting import resolve_size, with_seed
from media_pipeline.generation.provider import (
    Advanced,
    CancelOutcome,
    ErrorCode,
    GenerationRequest,
    Handle,
    ModelInfo,
    Output,
    ProviderError,
    ProviderEvent,
    Queued,
    Running,
    Submitted,
    Submitting,
)
from media_pipeline.generation.providers.access import Access
from media_pipeline.generation.providers.openai_errors import is_policy, reason_of
from media_pipeline.generation.providers.polling import Polling
from media_pipeline.generation.providers.wire import Reply

SEEDS: Final = 2**31
_OVER: Final = frozenset({"completed", "failed", "cancelled"})

Part = tuple[str | None, str | bytes] | tuple[str | None, str | bytes, str]


class OpenAIVideoProvider:
    """Make films with the models of `access` at a server that has `/videos`."""

    name = "openai_video"

    def __init__(self, access: Access) -> None:
        self._access = access
        self._keys = {"Authorization": f"Bearer {access.key}"} if access.key else {}
        self._wire = access.wire(self.name, self._keys)
        self._polling = Polling(access.clock)

    async def models(self) -> Sequence[ModelInfo]:
        return self._access.models

    async def generate(
        self, request: GenerationRequest, model: ModelInfo
    ) -> AsyncGenerator[ProviderEvent, None]:
        if model.seed:
            request = with_seed(request, below=SEEDS)
        form = await self._form(request, model)
        yield Submitting()
        handle = {"id": self._taken(await self._wire.exchange("POST", "videos", files=form))}
        if model.seed:
            handle["seed"] = str(request.seed)
        yield Submitted(handle)
        async with aclosing(self._followed(handle)) as events:
            async for event in events:
                yield event

    def resume(
        self,
        request: GenerationRequest,  # noqa: ARG002 - the protocol's
        model: ModelInfo,  # noqa: ARG002 - the protocol's
        handle: Handle,
    ) -> AsyncGenerator[ProviderEvent, None]:
        return self._followed(handle)

    async def cancel(self, handle: Handle) -> CancelOutcome:
        """Delete the job; one that was over by then is `too_late`, a running one may still run to its end."""
        address = f"videos/{handle['id']}"
        before = await self._wire.exchange("GET", address)
        reply = await self._wire.exchange("DELETE", address)
        if reply.status == 404 or before.object().get("status") in _OVER:  # noqa: PLR2004 - not found
            return "too_late"
        if not reply.ok:
            raise self._wire.refusal(reply)
        return "requested"

    async def check(self) -> str:
        listed = await self._wire.ask_object("GET", "models")
        names = [str(each.get("id")) for each in listed.get("data", ())]
        return f"answers, with {', '.join(names[:3]) or 'no model'}"

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def _form(self, request: GenerationRequest, model: ModelInfo) -> dict[str, Part]:
        """Return the fields; all are parts of a form, as OpenAI's own client sends them."""
        fields = _fields(request, model)
        form: dict[str, Part] = {name: (None, value) for name, value in fields.items()}
        for image in request.images:
            data = await self._access.read_input(image)
            form["input_reference"] = ("reference", data, image.content_type)
        return form

    def _taken(self, reply: Reply) -> str:
        if not reply.ok:
            raise self._wire.refusal(reply, reason_of(reply.json(), of_result=False))
        if not isinstance(id_ := reply.object().get("id"), str):
            raise self._wire.error(ErrorCode.NETWORK, f"{self.name} answered without a job.")
        return id_

    async def _followed(self, handle: Handle) -> AsyncGenerator[ProviderEvent, None]:
        """Tell how a job goes until it has ended."""
        address, seen = f"videos/{handle['id']}", _Seen()
        async with aclosing(self._polling.watch(lambda: self._wire.ask_object("GET", address))) as answers:
            async for video in answers:
                for event in seen.news(video):
                    yield event
                if video.get("status") == "completed":
                    break
                if video.get("status") in _OVER:
                    raise self._failure(video)
        yield Output(
            index=0,
            content_type="video/mp4",
            url=self._wire.locate(f"{address}/content"),
            url_headers=self._keys,
            seed=int(handle["seed"]) if "seed" in handle else None,
        )

    def _failure(self, video: Mapping[str, Any]) -> ProviderError:
        if video.get("status") == "cancelled":
            return self._wire.error(ErrorCode.CANCELLED, f"The job was cancelled at {self.name}.")
        error = video.get("error")
        said = error.get("message") if isinstance(error, Mapping) else error
        body: Any = {"error": error if isinstance(error, Mapping) else {}}
        reason = reason_of(body, of_result=True) if is_policy(body) else ErrorCode.PROVIDER
        return self._wire.error(reason or ErrorCode.PROVIDER, f"{self.name}: {said or 'the job failed'}")


class _Seen:
    """What was told of a job so far."""

    def __init__(self) -> None:
        self._status = ""
        self._percent = 0.0

    def news(self, video: Mapping[str, Any]) -> list[ProviderEvent]:
        """Return what a new answer adds."""
        events: list[ProviderEvent] = []
        status, percent = str(video.get("status")), video.get("progress")
        if status != self._status:
            self._status = status
            events += [Queued()] if status == "queued" else [Running()] if status == "in_progress" else []
        if isinstance(percent, int | float) and self._percent < percent <= 100:  # noqa: PLR2004 - per cent
            self._percent = percent
            events.append(Advanced(percent, 100, "percent"))
        return events


def _fields(request: GenerationRequest, model: ModelInfo) -> dict[str, str]:
    width, height = resolve_size(request, model)
    seconds = request.seconds or model.default_seconds or min(model.durations, default=None)
    fields: dict[str, object] = {"prompt": request.prompt, "size": f"{width}x{height}"}
    if seconds:
        fields["seconds"] = f"{seconds:g}"
    if not model.wire.get("unnamed"):
        fields["model"] = model.id
    extensions = {
        "seed": request.seed,
        "fps": request.fps,
        "num_frames": round(seconds * request.fps) if seconds and request.fps else None,
        "negative_prompt": request.negative_prompt,
        "width": width,
        "height": height,
    }
    taken = model.wire.get("extensions", ())
    fields |= {name: value for name, value in extensions.items() if name in taken and value is not None}
    return {name: str(value) for name, value in (fields | model.wire.get("fixed", {})).items()}
