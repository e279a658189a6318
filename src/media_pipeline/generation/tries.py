"""What a run of the manager tells beside its provider's events, and where a later run goes on."""

from __future__ import annotations

from dataclasses import dataclass

from media_pipeline.generation.provider import Handle, ProviderError, ProviderEvent


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """Attempt `number` is about to be made; nothing has been asked of the provider yet."""

    number: int
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """Attempt `number` is over: well, or with `error`.

    It does not come when a taken job stays out of sight: that attempt is open until it is resumed.
    """

    number: int
    error: ProviderError | None = None


ManagerEvent = ProviderEvent | AttemptStarted | AttemptEnded


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """What an earlier run left behind; without a `handle` only the intent to submit is known."""

    provider: str
    model: str
    handle: Handle | None
