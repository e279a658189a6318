"""Who brings back the jobs of dead workers, and starts what is due.

One loop a process: it tends the queue when the next scheduled job is due, and at least every
`interval`. Any number of processes may do so at once.
"""

from __future__ import annotations

import structlog

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.queue.announcer import Announcer, announce_end
from media_pipeline.queue.queue import Doorbell, Queue

_log = structlog.get_logger(__name__)
MIN_WAIT = 0.005


class Rescuer:
    """Tend a queue until cancelled."""

    def __init__(
        self,
        queue: Queue,
        announcer: Announcer,
        doorbell: Doorbell,
        *,
        interval: float = 1.0,
        lease: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        self._queue = queue
        self._announcer = announcer
        self._listener = doorbell.listen("schedule")
        self._interval = interval
        self._lease = lease
        self._clock = clock or SystemClock()
        self._offset = self._clock.now() - self._clock.monotonic()

    async def run(self) -> None:
        """Tend, then wait for whichever comes first: a due job, a ring or the interval."""
        while True:
            try:
                await self._recover_from_sleep()
                await self.tend()
                wait = await self._wait_seconds()
            except DatabaseUnavailable as error:
                _log.warning("rescuer.failed", error=str(error))
                wait = self._interval
            await self._listener.wait(wait)

    async def tend(self) -> None:
        """Do one round; announce what ended by it."""
        for job in await self._queue.tend():
            _log.warning("job.ended_by_rescue", job_id=job.id, kind=job.kind, state=job.state)
            await announce_end(self._announcer, job)

    async def _recover_from_sleep(self) -> None:
        """After the machine slept, let every worker beat before judging any lease."""
        offset = self._clock.now() - self._clock.monotonic()
        slept, self._offset = offset - self._offset, offset
        if slept > self._lease / 2:
            _log.info("rescuer.machine_slept", seconds=round(slept))
            await self._clock.sleep(self._lease)

    async def _wait_seconds(self) -> float:
        due = await self._queue.next_due()
        if due is None:
            return self._interval
        return min(self._interval, max(MIN_WAIT, due - self._clock.now()))
