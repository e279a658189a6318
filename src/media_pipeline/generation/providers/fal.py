"""fal: requests in its queue, polled, cancelled and fetched over HTTP.

Shapes from fal.ai/docs (queue, webhooks, errors) and its Python client 1.0.3; never run against the real
service here. fal names the addresses of a request itself; they are kept as paths, so that the key only ever
goes to the configured address. Progress is the last bar that a model logs; many log none.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urlsplit

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
    Usage,
)
from media_pipeline.generation.providers.access import Access
from media_pipeline.generation.providers.bars import Bars
from media_pipeline.generation.providers.binding import bind, data_url
from media_pipeline.generation.providers.polling import Polling
from media_pipeline.generation.providers.signatures import WebhookRefused, check_fal, read_key_set
from media_pipeline.generation.providers.wire import Reply

KEYS_SECONDS: Final = 86400.0
KEYS_PAUSE: Final = 60.0
"""A call that does not verify makes the keys be read again, not more often than this."""
SEEDS: Final = 2**31
NOBODY: Final = "fal-ai/flux/requests/00000000-0000-0000-0000-000000000000/status"
"""A request that never was: who may ask gets 404, a wrong key 401."""
_NO_MONEY: Final = re.compile(r"balance|billing|credit", re.IGNORECASE)
_POLICY: Final = "content_policy_violation"
_OUTCOMES: Final[Mapping[int, CancelOutcome]] = {
    200: "cancelled",
    202: "requested",
    400: "too_late",
    404: "too_late",
}


class FalProvider:
    """Make media with the models of `access` on fal."""

    name = "fal"

    def __init__(self, access: Access) -> None:
        self._access = access
        self._keys: list[bytes] = []
        self._keys_until = 0.0
        self._wire = access.wire(self.name, {"Authorization": f"Key {access.key}"})
        self._polling = Polling(access.clock, provider=self.name, knocks=access.knocks)

    async def models(self) -> Sequence[ModelInfo]:
        return self._access.models

    async def generate(
        self, request: GenerationRequest, model: ModelInfo
    ) -> AsyncGenerator[ProviderEvent, None]:
        if model.seed:
            request = with_seed(request, below=SEEDS)
        images = [
            (image.role, data_url(await self._access.read_input(image), image.content_type))
            for image in request.images
        ]
        wanted = bind(request, model, images)
        calling = {"fal_webhook": self._access.webhook_url} if self._access.webhook_url else {}
        yield Submitting()
        handle = self._taken(await self._wire.exchange("POST", model.id, params=calling, json=wanted))
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
        reply = await self._wire.exchange("PUT", handle["cancel"])
        if reply.status not in _OUTCOMES:
            raise self._wire.refusal(reply)
        return _OUTCOMES[reply.status]

    async def check(self) -> str:
        reply = await self._wire.exchange("GET", NOBODY)
        if reply.status not in {404, 422}:
            raise self._wire.refusal(reply)
        return "the key is accepted"

    async def read_call(self, headers: Mapping[str, str], body: bytes) -> Call:
        """Verify a webhook and return what it is about; the public keys are kept for a day at most."""
        now = self._access.clock.now()
        if now >= self._keys_until:
            await self._fetch_keys(now)
        try:
            request = check_fal(headers, body, keys=self._keys, now=now)
        except WebhookRefused:
            if now < self._keys_until - KEYS_SECONDS + KEYS_PAUSE:
                raise
            await self._fetch_keys(now)  # they may have been changed since
            request = check_fal(headers, body, keys=self._keys, now=now)
        return Call(request, request)

    async def _fetch_keys(self, now: float) -> None:
        self._keys = read_key_set(await self._wire.ask_object("GET", self._access.webhook_keys_url))
        self._keys_until = now + KEYS_SECONDS

    async def aclose(self) -> None:
        await self._wire.aclose()

    def _taken(self, reply: Reply) -> dict[str, str]:
        if not reply.ok:
            raise self._refusal(reply)
        taken = reply.object()
        try:
            names = {"status": "status_url", "result": "response_url", "cancel": "cancel_url"}
            paths = {name: urlsplit(taken[field]).path for name, field in names.items()}
            return {"id": str(taken["request_id"]), **paths}
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise self._wire.error(ErrorCode.NETWORK, "fal answered without a request.") from error

    def _refusal(self, reply: Reply) -> ProviderError:
        said = str(reply.object().get("detail", ""))
        if reply.status == 403 and _NO_MONEY.search(said):  # noqa: PLR2004 - as fal says that the purse is empty
            return self._wire.refusal(reply, ErrorCode.QUOTA)
        return self._wire.refusal(reply, ErrorCode.POLICY_INPUT if _error_type(reply) == _POLICY else None)

    async def _followed(self, handle: Handle) -> AsyncGenerator[ProviderEvent, None]:
        """Tell how a request goes until it has ended, then fetch what it made."""
        seen = _Seen()
        ask = lambda: self._wire.ask_object("GET", handle["status"], params={"logs": "1"})  # noqa: E731
        async with aclosing(self._polling.watch(ask, job=handle["id"])) as answers:
            async for status in answers:
                for event in seen.news(status):
                    yield event
                if status.get("status") == "COMPLETED":
                    break
        async with aclosing(self._polling.watch(lambda: self._result(handle))) as answers:
            reply = await anext(answers)
        if not reply.ok:
            raise self._failure(reply)
        for output in self._outputs(reply.object(), handle):
            yield output
        seconds = (status.get("metrics") or {}).get("inference_time")
        if isinstance(seconds, int | float):
            yield Usage({"inference_time": float(seconds)})

    async def _result(self, handle: Handle) -> Reply:
        """Fetch the result, or the model's own word why there is none; raises for anything in between."""
        reply = await self._wire.exchange("GET", handle["result"])
        if (reply.ok and reply.object()) or _is_word_of_model(reply):
            return reply
        if reply.ok:
            raise self._wire.error(ErrorCode.NETWORK, "fal answered with something that is not JSON.")
        raise self._wire.refusal(reply)

    def _failure(self, reply: Reply) -> ProviderError:
        kind = _error_type(reply)
        if kind == _POLICY:
            return self._wire.refusal(reply, ErrorCode.POLICY_INPUT)
        if kind == "no_media_generated":
            return self._wire.refusal(reply, ErrorCode.BAD_OUTPUT)
        again = reply.status >= 500 or reply.headers.get("x-fal-retryable") == "true"  # noqa: PLR2004
        return self._wire.refusal(reply, ErrorCode.PROVIDER if again else ErrorCode.INVALID_REQUEST)

    def _outputs(self, made: Mapping[str, Any], handle: Handle) -> list[Output]:
        if any(made.get("has_nsfw_concepts") or ()):
            raise self._wire.error(
                ErrorCode.POLICY_OUTPUT, "fal: the result was flagged as not safe for work."
            )
        seed = made.get("seed", handle.get("seed"))
        return [
            Output(
                index=index,
                content_type=str(file.get("content_type") or ""),
                url=str(file.get("url")),
                width=file.get("width"),
                height=file.get("height"),
                seed=None if seed is None else int(seed),
            )
            for index, file in enumerate(_files(made))
        ]


class _Seen:
    """What was told of a request so far."""

    def __init__(self) -> None:
        self._told: object = None
        self._bars = Bars()

    def news(self, status: Mapping[str, Any]) -> list[ProviderEvent]:
        """Return what a new answer adds."""
        events: list[ProviderEvent] = []
        stage = status.get("status"), status.get("queue_position")
        if stage != self._told:
            self._told = stage
            if stage[0] == "IN_QUEUE":
                events.append(Queued(stage[1] if isinstance(stage[1], int) else None))
            elif stage[0] == "IN_PROGRESS":
                events.append(Running())
        lines = [str(line.get("message")) for line in status.get("logs") or () if isinstance(line, Mapping)]
        return [*events, *self._bars.news("\n".join(lines))]


def _files(made: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the files of a result: `images`, or one `image` or `video`."""
    found = made.get("images") or [made[name] for name in ("image", "video") if name in made]
    return [file for file in found if isinstance(file, Mapping) and file.get("url")]


def _error_type(reply: Reply) -> str:
    """Return the type of a model's error (`detail[].type`) or of the platform's (`error_type`)."""
    match reply.json():
        case {"detail": [{"type": str(kind)}, *_]} | {"error_type": str(kind)}:
            return kind
        case _:
            return reply.headers.get("x-fal-error-type", "")


def _is_word_of_model(reply: Reply) -> bool:
    return not reply.ok and reply.status not in {401, 403, 404, 429} and bool(_error_type(reply))
