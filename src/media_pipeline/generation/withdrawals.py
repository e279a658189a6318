"""Stopping at their providers what ended jobs left there, before their end is told.

A job may end while a provider works on it: its owner cancelled it as it ran, as it waited for another run or
as its worker died; it took too long, or was given up. Whoever ends it, its end comes through here.

Guarantees: no such end is told before the provider was asked to stop, and its answer stands with the
attempt; a process that dies meanwhile leaves that to the republisher of any other. Not guaranteed: that a
provider is asked only once, that it answers, or what it charges.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
import structlog

from media_pipeline.clock import Clock
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.generation.attempts import log_attempt
from media_pipeline.generation.manager import CANCEL_SECONDS, MediaGenerationManager
from media_pipeline.generation.tries import ResumePoint
from media_pipeline.ids import JobId
from media_pipeline.queue.announcer import Announcer, announce_end
from media_pipeline.queue.job import Job, JobState
from media_pipeline.queue.queue import Queue, QueueError

UNKNOWN: Final = "unknown"
"""What stands with an attempt whose provider could not be asked, or did not answer."""
_log = structlog.get_logger(__name__)


class Withdrawals(Announcer):
    """The `Announcer` of a program with providers: `announcer` tells what it tells."""

    def __init__(
        self, announcer: Announcer, queue: Queue, manager: MediaGenerationManager, *, clock: Clock
    ) -> None:
        self._announcer, self._queue, self._manager, self._clock = announcer, queue, manager, clock
        self._under_way: dict[JobId, asyncio.Task[None]] = {}

    async def started(self, job: Job) -> None:
        await self._announcer.started(job)

    async def lost(self, job: Job) -> None:
        await self._announcer.lost(job)

    async def ended(self, job: Job) -> None:
        """Tell a job's end, at once or, where a provider is still at it, once that was asked to stop."""
        if not is_abandoned(job):
            await self._announcer.ended(job)
        elif job.id not in self._under_way:
            task = asyncio.create_task(self._withdraw(job))
            self._under_way[job.id] = task
            task.add_done_callback(lambda _: self._under_way.pop(job.id))

    async def aclose(self) -> None:
        """Let what is under way come to its end, within the time a provider has."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way.values(), timeout=2 * CANCEL_SECONDS)
            for task in late:
                task.cancel()

    async def _withdraw(self, job: Job) -> None:
        """Ask the provider, write down what it answered, tell the end; what fails here is done again."""
        *before, last = job.attempts
        taken = ResumePoint(provider=last.provider, model=last.model, handle=last.handle)
        stopped = msgspec.structs.replace(
            last, cancel=await self._manager.cancel(taken) or UNKNOWN, ended_at=self._clock.now()
        )
        log_attempt(job.id, stopped, outcome="stopped", now=self._clock.now())
        try:
            amended = await self._queue.amend(job.id, [*before, stopped])
        except (QueueError, DatabaseUnavailable) as error:
            _log.warning("withdrawal.not_noted", job_id=job.id, error=str(error))
        else:
            await announce_end(self._announcer, amended)


def is_abandoned(job: Job) -> bool:
    """Tell whether a job ended while a provider had it, which does not know that yet.

    Without a handle there is nothing to ask by; then only who cancelled it is told that nobody knows.
    """
    if job.state not in {JobState.FAILED, JobState.CANCELLED} or not job.attempts:
        return False
    last = job.attempts[-1]
    known = last.handle is not None or job.state is JobState.CANCELLED
    return last.submitting and last.ended_at is None and known
