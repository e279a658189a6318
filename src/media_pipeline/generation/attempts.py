"""The durable record of a job's attempts: what was tried, what may have cost money, how to go on.

Guarantee: when `note` returns, what it noted survives a crash; so the intent to submit is kept
before the submit, and the handle before anything follows from it.
"""

from __future__ import annotations

import msgspec

from media_pipeline.clock import Clock
from media_pipeline.generation.manager import AttemptEnded, AttemptStarted, ResumePoint
from media_pipeline.generation.provider import ProviderError, Submitted, Submitting
from media_pipeline.queue.job import Attempt
from media_pipeline.queue.worker import Run


class AttemptLog:
    """The attempts of one job, over all its runs."""

    def __init__(self, run: Run, *, clock: Clock) -> None:
        self._run = run
        self._clock = clock
        self._attempts = [self._closed(attempt) for attempt in run.job.attempts]
        self._open = next((each for each in run.job.attempts[::-1] if each.ended_at is None), None)

    @property
    def next_number(self) -> int:
        """The number of the next attempt."""
        return len(self._attempts) + 1

    def resume_point(self) -> ResumePoint | None:
        """Return where to go on with what an earlier run may have submitted and saw no end of."""
        last = self._open
        if last is None or not last.submitting:
            return None
        return ResumePoint(provider=last.provider, model=last.model, handle=last.handle)

    async def note(self, event: AttemptStarted | AttemptEnded | Submitting | Submitted) -> None:
        """Keep what happened; `LeaseLost` when the job is not ours any more."""
        match event:
            case AttemptStarted():
                self._attempts.append(self._begun(event))
                self._open = None
            case Submitting():
                self._change(submitting=True)
            case Submitted():
                self._change(handle=dict(event.handle))
            case AttemptEnded():
                self._change(ended_at=self._clock.now(), **_described(event.error))
        await self._run.record(self._attempts)

    def taken(self) -> ResumePoint | None:
        """Return the job that is at a provider now, as far as it was noted; without a handle, perhaps."""
        last = self._attempts[-1] if self._attempts else None
        if last is None or last.ended_at is not None or not last.submitting:
            return None
        return ResumePoint(provider=last.provider, model=last.model, handle=last.handle)

    async def note_cancel(self, outcome: str) -> None:
        """Keep what the provider answered when its job was to be stopped."""
        self._change(ended_at=self._clock.now(), cancel=outcome)
        await self._run.record(self._attempts)

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
            attempt, ended_at=self._clock.now(), error="The worker stopped.", code="interrupted"
        )


def _described(error: ProviderError | None) -> dict[str, object]:
    return {} if error is None else {"error": str(error), "code": str(error.reason)}
