"""What one attempt has committed us to, and so what its failure permits.

| so far                    | may generate again                    | ends the run                    |
|---------------------------|---------------------------------------|---------------------------------|
| nothing went out          | all of `TRY_AGAIN` and `TRY_NEXT`     | the rest                        |
| `Submitting`              | a refusal: rate, overload, provider   | network, time-out: fate unknown |
|                           | error; auth, quota, gone, unsupported | and the rest                    |
|                           | never sent: no connection came about  |                                 |
| `Submitted`               | the provider says that it failed      | the rest; out of sight: resumed |
| `Submitting` and a result | never                                 | all; out of sight: resumed      |
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from media_pipeline.generation.provider import (
    TRY_AGAIN,
    TRY_NEXT,
    ErrorCode,
    Handle,
    Output,
    ProviderError,
    ProviderEvent,
    Submitted,
    Submitting,
)

_OUT_OF_SIGHT: Final = frozenset(
    {ErrorCode.NETWORK, ErrorCode.TIMEOUT, ErrorCode.RATE_LIMITED, ErrorCode.OVERLOADED}
)
_AMBIGUOUS: Final = frozenset({ErrorCode.NETWORK, ErrorCode.TIMEOUT})


class Verdict(StrEnum):
    """What may be done after a failure."""

    AGAIN = "again"
    """Generate again, here or at the next provider."""
    NEXT = "next"
    """Generate at the next provider."""
    RESUME = "resume"
    """Look for the taken job by its handle."""
    STOP = "stop"


class Commitment:
    """Notes an attempt's events and judges its failure."""

    def __init__(self, handle: Handle | None = None) -> None:
        self.handle = handle
        self.error: ProviderError | None = None
        self._asked = handle is not None
        self._served = False

    @property
    def verdict(self) -> Verdict:
        """What the failure that ended the attempt permits."""
        return self.judge(self.error) if self.error else Verdict.STOP

    @property
    def pending(self) -> bool:
        """Whether a taken job is out of sight, so that only its handle can tell how it ended."""
        return self.error is not None and self.verdict is Verdict.RESUME

    def fail(self, error: ProviderError) -> None:
        """End the attempt with `error`; what may have been paid is `final`."""
        self.error = error
        error.final = self._asked and self.verdict is Verdict.STOP

    def note(self, event: ProviderEvent) -> None:
        """Take in what the provider said."""
        match event:
            case Submitting():
                self._asked = True
            case Submitted(handle):
                self._asked, self.handle = True, handle
            case Output():
                self._served = True

    def judge(self, error: ProviderError) -> Verdict:
        """Return what `error` permits at this point."""
        if self.handle is not None and error.reason in _OUT_OF_SIGHT:
            return Verdict.RESUME
        if self._asked and (self._served or error.reason is ErrorCode.BAD_OUTPUT):
            return Verdict.STOP  # the work was done once, and so may have been paid
        if self.handle is not None:
            return Verdict.AGAIN if error.reason is ErrorCode.PROVIDER else Verdict.STOP
        if error.reason in TRY_AGAIN:
            return Verdict.AGAIN
        return Verdict.NEXT if error.reason in TRY_NEXT else Verdict.STOP

    def understood(self, raised: Exception, *, provider: str) -> ProviderError:
        """Return `raised` as what it means here: between intent and answer nothing is known.

        Anything but a `ProviderError` is a mistake of ours and is raised as it is, unless money is at stake.
        """
        if self._asked and self.handle is None and not _is_answer(raised):
            return unknown_submit(provider)
        if isinstance(raised, ProviderError):
            return raised
        raise raised

    def check_outputs(self, provider: str) -> None:
        """Raise `ProviderError(BAD_OUTPUT)` when an attempt that went well gave nothing."""
        if not self._served:
            raise ProviderError(
                ErrorCode.BAD_OUTPUT, f"{provider} finished without a result.", provider=provider
            )


def unknown_submit(provider: str) -> ProviderError:
    """Return the error of a job that may or may not have been taken, and so may cost twice if repeated."""
    return ProviderError(
        ErrorCode.SUBMITTED_UNKNOWN,
        f"The connection to {provider} broke while it was asked; the job may have been taken and charged.",
        provider=provider,
    )


def lost_result(provider: str) -> ProviderError:
    """Return the error of a result that came, and so was paid, and can be had again only by paying again."""
    error = ProviderError(
        ErrorCode.EXPIRED,
        f"The result of {provider} came and could not be kept, and {provider} does not give it twice.",
        provider=provider,
    )
    error.final = True
    return error


def _is_answer(raised: Exception) -> bool:
    return isinstance(raised, ProviderError) and (raised.reason not in _AMBIGUOUS or not raised.sent)
