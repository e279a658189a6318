"""Who tells an end that was committed but never told.

A job's end is committed first and announced after; a crash or a deaf bus in between leaves it
unsettled, and this loop announces it again. Old settled jobs are forgotten here too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.ids import JobId
from media_pipeline.queue.announcer import Announcer, try_end
from media_pipeline.queue.queue import Queue

BATCH: Final = 96
AT_ONCE: Final = 16
"""How many ends are told side by side: after an outage hundreds wait, and each waits for the store."""
_log = structlog.get_logger(__name__)


class Republisher:
    """Settle a queue's ended jobs until cancelled. `patience` is how long their worker has for it."""

    def __init__(
        self,
        queue: Queue,
        announcer: Announcer,
        *,
        interval: float = 2.0,
        patience: float = 5.0,
        keep: float = 30 * 24 * 3600.0,
        clock: Clock | None = None,
    ) -> None:
        self._queue = queue
        self._announcer = announcer
        self._interval = interval
        self._patience = patience
        self._keep = keep
        self._clock = clock or SystemClock()
        self._hurried = asyncio.Event()
        self._untold: set[JobId] = set()

    def hurry(self) -> None:
        """Settle also what ended just now: whoever had to be told can be reached again."""
        self._hurried.set()

    async def run(self) -> None:
        """Settle what an earlier process left, at once; then again and again."""
        await self._round(patience=0.0)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_time())
            group.create_task(self._keep_up())

    async def _keep_up(self) -> None:
        while True:
            await self._hurried.wait()
            self._hurried.clear()
            await self._round(patience=0.0)

    async def _keep_time(self) -> None:
        while True:
            await self._clock.sleep(self._interval)
            await self._round(patience=self._patience)

    async def _round(self, *, patience: float) -> None:
        try:
            await self._note(await self._settle(patience=patience))
            await self._queue.prune(older_than=self._keep)
        except DatabaseUnavailable as error:
            _log.warning("republisher.failed", error=str(error))

    async def _settle(self, *, patience: float) -> dict[JobId, Exception]:
        """Announce every unsettled end and return what failed; one that does holds up none behind it."""
        failed: dict[JobId, Exception] = {}
        tried: set[JobId] = set()
        while True:
            jobs = await self._queue.unsettled(older_than=patience, limit=BATCH + len(tried))
            fresh = [job for job in jobs if job.id not in tried]
            if not fresh:
                return failed
            tried.update(job.id for job in fresh)
            for first in range(0, len(fresh), AT_ONCE):
                some = fresh[first : first + AT_ONCE]
                told = await asyncio.gather(*(try_end(self._announcer, job) for job in some))
                failed |= {job.id: error for job, error in zip(some, told, strict=True) if error}

    async def _note(self, failed: Mapping[JobId, Exception]) -> None:
        """Log when ends begin to stay untold, and when none of them does any more: an outage is two lines."""
        if failed and not self._untold:
            _log.warning("republisher.untold", jobs=len(failed), error=repr(next(iter(failed.values()))))
        self._untold |= failed.keys()
        if self._untold and not failed and not await self._is_any_untold():
            _log.info("republisher.told", jobs=len(self._untold))
            self._untold.clear()

    async def _is_any_untold(self) -> bool:
        """Tell whether an end that could not be told still waits, if only for its time to come again."""
        oldest = await self._queue.unsettled(older_than=0.0, limit=BATCH + len(self._untold))
        return any(job.id in self._untold for job in oldest)
