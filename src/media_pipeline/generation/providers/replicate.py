"""Replicate: predictions that are submitted, polled and cancelled over its HTTP API.

Shapes from replicate.com/docs/reference/http and its Python client 1.0.7; never run against the real service
here. Files of a prediction are deleted an hour after its end. Progress is the last bar that a model's log
shows; many models print none.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from media_pipeline.generation.callbacks import Call
from media_pipeline.generation.fitting import with_seed
from media_pipeline.generation.provider import (
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
from media_pipeline.generation.providers.bars import Bars
from media_pipeline.generation.providers.binding import Images, bind, data_url
from media_pipeline.generation.providers.figures import usage_of
from media_pipeline.generation.providers.polling import Polling
from media_pipeline.generation.providers.signatures import check_standard, read_id
from media_pipeline.generation.providers.wire import Reply
from media_pipeline.jsonvalue import Json

INLINE_BYTES: Final = 256 * 1024
"""Larger inputs are uploaded as files, as Replicate asks."""
SEEDS: Final = 2**31
_POLICY: Final = re.compile(r"nsfw|sensitive|flagged|safety|content polic", re.IGNORECASE)
_OF_PROMPT: Final = re.compile(r"\b(prompt|input)\b(?!.*\boutput\b)", re.IGNORECASE | re.DOTALL)
_OUTCOMES: Final[Mapping[str, CancelOutcome]] = {
    "canceled": "cancelled",
    "aborted": "cancelled",
    "succeeded": "too_late",
    "failed": "too_late",
}


class ReplicateProvider:
    """Make media with the models of `access` on Replicate."""

    name = "replicate"

    def __init__(self, access: Access) -> None:
        self._access = access
        self._secret = access.webhook_secret
        self._wire = access.wire(self.name, {"Authorization": f"Bearer {access.key}"})
        self._polling = Polling(access.clock, provider=self.name, knocks=access.knocks)

    async def models(self) -> Sequence[ModelInfo]:
        return self._access.models

    async def generate(
        self, request: GenerationRequest, model: ModelInfo
    ) -> AsyncGenerator[ProviderEvent, None]:
        if model.seed:
            request = with_seed(request, below=SEEDS)
        wanted = bind(request, model, await self._images(request))
        yield Submitting()
        reply = await self._wire.exchange("POST", _address(model), json=self._order(wanted, model))
        taken = self._taken(reply)
        handle = {"id": str(taken["id"])}
        if request.seed is not None:
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
        reply = await self._wire.exchange("POST", f"v1/predictions/{handle['id']}/cancel")
        if reply.status == 404:  # noqa: PLR2004 - forgotten, so over
            return "too_late"
        if not reply.ok:
            raise self._wire.refusal(reply)
        return _OUTCOMES.get(str(reply.object().get("status")), "requested")

    async def check(self) -> str:
        account = await self._wire.ask_object("GET", "v1/account")
        return f"the key is {account.get('username')}'s"

    async def read_call(self, headers: Mapping[str, str], body: bytes) -> Call:
        """Verify a webhook and return what it is about; the secret is asked for once where none is set."""
        if not self._secret:
            found = await self._wire.ask_object("GET", "v1/webhooks/default/secret")
            self._secret = str(found.get("key"))
        now = self._access.clock.now()
        message = check_standard(headers, body, secret=self._secret, now=now)
        return Call(message, read_id(body, "id"))

    async def aclose(self) -> None:
        await self._wire.aclose()

    def _order(self, wanted: Mapping[str, Json], model: ModelInfo) -> dict[str, Json]:
        order: dict[str, Json] = {"input": dict(wanted)}
        if ":" in model.id:
            order["version"] = model.id.partition(":")[2]
        if self._access.webhook_url:
            order |= {"webhook": self._access.webhook_url, "webhook_events_filter": ["completed"]}
        return order

    def _taken(self, reply: Reply) -> dict[str, Any]:
        if not reply.ok:
            detail = str(reply.object().get("detail", ""))
            gone = ErrorCode.GONE if "version or not permitted" in detail else None
            raise self._wire.refusal(reply, gone)
        if not isinstance(reply.object().get("id"), str):
            raise self._wire.error(ErrorCode.NETWORK, "replicate answered without a prediction.")
        return reply.object()

    async def _images(self, request: GenerationRequest) -> Images:
        found = []
        for image in request.images:
            data = await self._access.read_input(image)
            if len(data) <= INLINE_BYTES:
                url = data_url(data, image.content_type)
            else:
                content = ("input", data, image.content_type)
                sent = await self._wire.ask_object("POST", "v1/files", files={"content": content})
                url = str(sent.get("urls", {}).get("get"))
            found.append((image.role, url))
        return found

    async def _followed(self, handle: Handle) -> AsyncGenerator[ProviderEvent, None]:
        """Tell how a prediction goes until it has ended."""
        address, seen = f"v1/predictions/{handle['id']}", _Seen()
        ask = lambda: self._wire.ask_object("GET", address)  # noqa: E731
        async with aclosing(self._polling.watch(ask, job=handle["id"])) as answers:
            async for prediction in answers:
                for event in seen.news(prediction):
                    yield event
                if prediction.get("status") == "succeeded":
                    break
                if prediction.get("status") in {"failed", "canceled", "aborted"}:
                    raise self._failure(prediction)
        for index, url in enumerate(_urls(prediction.get("output"))):
            yield Output(index=index, content_type="", url=url, seed=_seed(handle))
        if usage := usage_of(prediction.get("metrics")):
            yield usage

    def _failure(self, prediction: Mapping[str, Any]) -> ProviderError:
        said = str(prediction.get("error") or "The prediction failed without a reason.")
        if prediction["status"] == "canceled":
            return self._wire.error(ErrorCode.CANCELLED, "The prediction was cancelled at replicate.")
        if prediction["status"] == "failed" and _POLICY.search(said):
            of_prompt = _OF_PROMPT.search(said)
            return self._wire.error(ErrorCode.POLICY_INPUT if of_prompt else ErrorCode.POLICY_OUTPUT, said)
        return self._wire.error(ErrorCode.PROVIDER, f"replicate: {said}")


class _Seen:
    """What was told of a prediction so far."""

    def __init__(self) -> None:
        self._status = ""
        self._bars = Bars()

    def news(self, prediction: Mapping[str, Any]) -> list[ProviderEvent]:
        """Return what a new answer adds."""
        events: list[ProviderEvent] = []
        status = str(prediction.get("status"))
        if status != self._status:
            self._status = status
            events += [Queued()] if status == "starting" else [Running()] if status == "processing" else []
        return [*events, *self._bars.news(str(prediction.get("logs") or ""))]


def _address(model: ModelInfo) -> str:
    return "v1/predictions" if ":" in model.id else f"v1/models/{model.id}/predictions"


def _urls(output: Any) -> list[str]:
    """Return the files of an output, which is a URL, a list of them, or an object with some."""
    if isinstance(output, str):
        return [output] if output.startswith(("https:", "http:", "data:")) else []
    if isinstance(output, Mapping):
        output = list(output.values())
    return [url for part in output for url in _urls(part)] if isinstance(output, list) else []


def _seed(handle: Handle) -> int | None:
    return int(handle["seed"]) if "seed" in handle else None
