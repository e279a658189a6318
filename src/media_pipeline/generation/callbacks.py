"""Calls of providers: verified over their raw bytes, then a knock at the job they are about.

Guarantees: a call that is not the provider's, or older than the window of its signature, has no effect; one
that comes again has none either. Polling goes on beside them, so a lost call costs time and nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, runtime_checkable

from media_pipeline.errors import MediaPipelineError
from media_pipeline.generation.knocks import Knocks
from media_pipeline.generation.provider import ProviderError

REMEMBERED: Final = 10_000
"""So many calls are known again; their signatures are too old long before."""


@dataclass(frozen=True, slots=True)
class Call:
    """A verified call: `id` is the same for each delivery of it, `job` the provider's own id."""

    id: str
    job: str


@runtime_checkable
class CallsBack(Protocol):
    """A provider that tells by itself when a job has news."""

    name: str

    async def read_call(self, headers: Mapping[str, str], body: bytes) -> Call:
        """Verify a call's headers (lower-case names) and raw body; raises `WebhookRefused`."""
        ...


class KeysUnavailable(MediaPipelineError):
    """The provider's keys cannot be had now, so nobody knows whether a call is its own."""

    code: ClassVar[str] = "keys_unavailable"
    retryable: ClassVar[bool] = True


class Callbacks:
    """The calls of one provider."""

    def __init__(self, provider: CallsBack, knocks: Knocks) -> None:
        self.provider = provider.name
        self._read = provider.read_call
        self._knocks = knocks
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def take(self, headers: Mapping[str, str], body: bytes) -> None:
        """Take a call: wake whoever follows its job, once. `WebhookRefused` or `KeysUnavailable`."""
        try:
            call = await self._read(headers, body)
        except ProviderError as error:
            raise KeysUnavailable(f"{self.provider} does not say now how its calls are signed.") from error
        if call.id in self._seen:
            return
        self._seen[call.id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        self._knocks.knock(self.provider, call.job)
