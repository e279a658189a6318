"""What every adapter of a remote provider is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.generation.knocks import Knocks
from media_pipeline.generation.provider import InputMedia, ModelInfo
from media_pipeline.generation.providers.wire import Wire

ReadInput = Callable[[InputMedia], Awaitable[bytes]]
"""Return the bytes of a picture that a request builds on."""


async def _no_input(image: InputMedia) -> bytes:
    raise LookupError(f"Nothing was given that reads {image.path}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A provider's address, key and models; `webhook_url` where it can call us back.

    `webhook_secret` and `webhook_keys_url` prove its calls, and `knocks` tell of them.
    """

    base_url: str
    models: Sequence[ModelInfo]
    key: str = field(default="", repr=False)
    clock: Clock = field(default_factory=SystemClock)
    read_input: ReadInput = _no_input
    webhook_url: str | None = None
    webhook_secret: str = field(default="", repr=False)
    webhook_keys_url: str = ""
    knocks: Knocks | None = None

    def wire(self, provider: str, headers: Mapping[str, str]) -> Wire:
        """Return the way to the provider; `headers` carry the key, which no error text shows."""
        return Wire(provider, base_url=self.base_url, clock=self.clock, headers=headers, secrets=[self.key])
