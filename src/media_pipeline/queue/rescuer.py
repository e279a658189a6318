"""Who brings back the jobs of dead workers, and starts what is due.

One loop a process: it tends the queue when the next scheduled job is due, and at least every
`interval`. Any number of processes may do so at once.

Guarantee: no worker is declared dead for what kept its database or its machine away. A rescuer judges
leases only when the database has answered it for a whole lease without a gap, in which every live
worker could beat; each of several that were cut off waits for itself. Not guaranteed: that a worker
which alone is cut off keeps its jobs. It does not, and its rescue waits for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.queue.announcer import Announcer, announce_end
from media_pipeline.queue.job import Job
from media_pipeline.queue.queue import Doorbell, Queue

_log = structlog.get_logger(__name__)
MIN_WAIT = 0.005


class Rescuer:
    """Tend a queue until cancelled. `lease` in seconds is that of all its workers."""

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
        self._interval = min(interval, lease / 4)
        self._lease = lease
        self._clock = clock or SystemClock()
        self._contact = Contact(self._clock, longest_gap=lease / 2)

    async def run(self) -> None:
        """Tend, then wait for whichever comes first: a due job, a ring or the interval."""
        while True:
            try:
                await self.tend()
                wait = await self._wait_seconds()
            except DatabaseUnavailable as error:
                _log.warning("rescuer.failed", error=str(error))
                self._contact.lose()
                wait = self._interval
            await self._listener.wait(wait)

    async def tend(self) -> None:
        """Do one round; announce what ended by it."""
        if self._contact.held() >= self._lease:
            await self._queue.bury()
        ended = await self._queue.tend()
        self._contact.note()
        for job in ended:
            _log.warning("job.ended_by_rescue", job_id=job.id, kind=job.kind, state=job.state)
            await announce_end(self._announcer, job)

    async def _wait_seconds(self) -> float:
        due = await self._queue.next_due()
        if due is None:
            return self._interval
        return min(self._interval, max(MIN_WAIT, due - self._clock.now()))


def tell_rescues(rescued: Sequence[Job]) -> list[Job]:
    """Log what an engine took from workers that are gone; return what ended by it."""
    for job in rescued:
        _log.warning("job.rescued", job_id=job.id, kind=job.kind, state=job.state)
    return [job for job in rescued if job.ended]


class Contact:
    """Since when the database has answered, and nobody here stood still for longer than a gap.

    A machine that sleeps stops the monotonic clock, a call that hangs does not: both are gaps.
    """

    def __init__(self, clock: Clock, *, longest_gap: float) -> None:
        self._clock = clock
        self._longest_gap = longest_gap
        self._began = 0.0
        self._last: tuple[float, float] | None = None

    def note(self) -> None:
        """The database answered now."""
        if self._is_broken():
            self._began = self._clock.monotonic()
        self._last = self._clock.monotonic(), self._clock.now()

    def lose(self) -> None:
        """The database did not answer."""
        self._last = None

    def held(self) -> float:
        """Return for how many seconds there has been no gap."""
        return 0.0 if self._is_broken() else self._clock.monotonic() - self._began

    def _is_broken(self) -> bool:
        if self._last is None:
            return True
        monotonic, now = self._last
        gap = max(self._clock.monotonic() - monotonic, self._clock.now() - now)
        return gap > self._longest_gap
