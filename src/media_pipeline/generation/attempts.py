"""The durable record of a job's attempts: what was tried, what may have cost money, how to go on.

Guarantees: when `note` returns, what it noted survives a crash; so the intent to submit is kept before the
submit, and the handle before anything follows from it. An attempt that may have been paid is resumed or ends
the job, in whatever run that is found out; it is never followed by another one.
"""

from __future__ import annotations

from typing import Final

import msgspec
import structlog

from media_pipeline.clock import Clock
from media_pipeline.generation.commitment import lost_result
from media_pipeline.generation.manager import AttemptEnded, AttemptStarted, ResumePoint
from media_pipeline.generation.provider import ErrorCode, ProviderError, Submitted, Submitting, Usage
from media_pipeline.ids import JobId
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import Attempt, Job, JobState

_log = structlog.get_logger(__name__)
INTERRUPTED: Final = "interrupted"
"""The code of an attempt whose worker stopped; it says nothing of what the provider did."""
_UNTOLD: Final = frozenset(
    {INTERRUPTED, ErrorCode.SUBMITTED_UNKNOWN, ErrorCode.EXPIRED, ErrorCode.BAD_OUTPUT}
)
"""How an attempt ends of which its provider did not say that it came to nothing."""


class AttemptLog:
    """The attempts of one job, over all its runs."""

    def __init__(self, run: Run, *, clock: Clock) -> None:
        self._run = run
        self._clock = clock
        self._attempts = [self._closed(attempt) for attempt in run.job.attempts]
        self._left = run.job.attempts[-1] if run.job.attempts else None
        self._cost: float | None = None

    @property
    def next_number(self) -> int:
        """The number of the next attempt."""
        return len(self._attempts) + 1

    def resume_point(self) -> ResumePoint | None:
        """Return where to go on with what an earlier run may have submitted and did not keep.

        Raises the `ProviderError` of what that run may have paid and nobody can have again.
        """
        last = self._left
        if last is None or not last.submitting:
            return None
        if last.final:
            raise _final(ErrorCode(last.code or ""), last)
        if last.code not in {None, INTERRUPTED}:
            return None
        if last.ended_at is not None and last.handle is None and last.code is None:
            raise lost_result(last.provider)
        return ResumePoint(provider=last.provider, model=last.model, handle=last.handle)

    async def note(self, event: AttemptStarted | AttemptEnded | Submitting | Submitted | Usage) -> None:
        """Keep what happened; `LeaseLost` when the job is not ours any more."""
        match event:
            case AttemptStarted():
                self._attempts.append(self._begun(event))
                self._left, self._cost = None, None
            case Submitting():
                self._change(submitting=True)
            case Submitted():
                self._change(handle=dict(event.handle))
            case Usage():
                self._cost = event.cost_usd
                return
            case AttemptEnded():
                self._change(ended_at=self._clock.now(), **_described(event.error))
                self._tell("ok" if event.error is None else event.error.reason)
        await self._run.record(self._attempts)

    async def note_unkept(self, raised: Exception) -> Exception:
        """Keep that a result came and could not be kept; return what the run ends with.

        What is no good ends its attempt, and so does what was paid and has no handle to have it again by;
        any other attempt stays open, to be resumed.
        """
        last = self._attempts[-1]
        if isinstance(raised, ProviderError):
            error = raised
        elif last.submitting and last.handle is None:
            error = lost_result(last.provider)
        else:
            self._tell("unkept")
            return raised
        error.final = last.submitting
        await self.note(AttemptEnded(last.number, error))
        return error

    def note_out_of_sight(self, error: ProviderError) -> None:
        """Tell of an attempt that stays open because nobody can see how its job goes on."""
        if self._left is None and self._attempts and self._attempts[-1].ended_at is None:
            self._tell(error.reason)

    def _begun(self, event: AttemptStarted) -> Attempt:
        """Begin a record; one that goes on with a submitted job keeps its handle."""
        resumed = self.resume_point()
        return Attempt(
            number=event.number,
            provider=event.provider,
            model=event.model,
            started_at=self._clock.now(),
            submitting=resumed is not None,
            handle=dict(resumed.handle) if resumed and resumed.handle else None,
        )

    def _change(self, **fields: object) -> None:
        self._attempts[-1] = msgspec.structs.replace(self._attempts[-1], **fields)

    def _closed(self, attempt: Attempt) -> Attempt:
        """Close what an earlier run left open; its worker is gone."""
        if attempt.ended_at is not None:
            return attempt
        return msgspec.structs.replace(
            attempt, ended_at=self._clock.now(), error="The worker stopped.", code=INTERRUPTED
        )

    def _tell(self, outcome: str) -> None:
        log_attempt(
            self._run.job.id, self._attempts[-1], outcome=outcome, now=self._clock.now(), cost=self._cost
        )


def log_attempt(
    job_id: JobId, attempt: Attempt, *, outcome: str, now: float, cost: float | None = None
) -> None:
    """Log how an attempt came out, and what it cost in US dollars: never what was asked for."""
    _log.info(
        "generation.attempt",
        job_id=job_id,
        provider=attempt.provider,
        model=attempt.model,
        outcome=str(outcome),
        seconds=round((attempt.ended_at or now) - attempt.started_at, 3),
        cost_usd=cost,
    )


def charged_by(job: Job) -> str | None:
    """Return the provider that may charge for a job although nothing was kept of it.

    It was asked and never said that it refused or failed the work, nor that it stopped it in time.
    """
    if job.state is JobState.SUCCEEDED or not job.attempts:
        return None
    last = job.attempts[-1]
    lost_key = last.code == ErrorCode.AUTH and last.handle is not None
    untold = last.code is None or last.code in _UNTOLD or lost_key
    return last.provider if last.submitting and untold and last.cancel != "cancelled" else None


def _described(error: ProviderError | None) -> dict[str, object]:
    return {} if error is None else {"error": str(error), "code": str(error.reason), "final": error.final}


def _final(reason: ErrorCode, attempt: Attempt) -> ProviderError:
    error = ProviderError(reason, attempt.error or "", provider=attempt.provider)
    error.final = True
    return error
