"""The worker: claim, run, end; wake at once, drain in peace.

Guarantees: never more than `concurrency` handlers at work, nor more of a kind than its limit; a job
that its owner cancels is stopped; what a drain cannot finish in its grace is given back unspent. Claims
and ends go on side by side: jobs at work and jobs whose ends are being written are at most twice the slots.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

import structlog

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.queue.announcer import Announcer
from media_pipeline.queue.handler import Handler
from media_pipeline.queue.job import Job, WorkerId
from media_pipeline.queue.queue import Doorbell, LeaseLost, Queue
from media_pipeline.queue.runs import Runs
from media_pipeline.queue.slots import Slots

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Figures of a worker, in seconds and jobs; `per_kind` narrows `concurrency`."""

    concurrency: int = 4
    per_kind: Mapping[str, int] = field(default_factory=dict)
    lease: float = 30.0
    poll: float = 1.0
    grace: float = 10.0
    deadline: float = 1800.0


class Worker:
    """Run the jobs of every kind in `handlers` until stopped."""

    def __init__(
        self,
        queue: Queue,
        handlers: Mapping[str, Handler],
        announcer: Announcer,
        doorbell: Doorbell,
        *,
        settings: WorkerSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.id = WorkerId(uuid.uuid4().hex)
        self._queue = queue
        self._listener = doorbell.listen("work", "cancel")
        self._settings = settings or WorkerSettings()
        self._slots = Slots(handlers, total=self._settings.concurrency, per_kind=self._settings.per_kind)
        self._clock = clock or SystemClock()
        self._runs = Runs(
            queue,
            dict(handlers),
            announcer,
            self._slots,
            worker_id=self.id,
            deadline=self._settings.deadline,
            poll=self._settings.poll,
            wake=self._listener.wake,
            clock=self._clock,
        )
        self._stopping = False

    @property
    def busy(self) -> int:
        """How many jobs are at work, or their ends being written."""
        return self._runs.busy

    async def run(self) -> None:
        """Work until `stop`, then drain."""
        if not await self._join():
            return
        try:
            async with asyncio.TaskGroup() as group:
                beating = group.create_task(self._keep_lease())
                await self._claim_until_stopped()
                await self._runs.drain(self._settings.grace)
                beating.cancel()
        finally:
            self._runs.abandon()
        await self._retire()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the running jobs ended or were given back."""
        self._stopping = True
        self._listener.wake()

    async def _join(self) -> bool:
        """Register as soon as the database answers; tell whether that was before `stop`."""
        while not self._stopping:
            try:
                await self._queue.register(self.id, lease_seconds=self._settings.lease)
            except DatabaseUnavailable as error:
                _log.warning("worker.not_registered", error=str(error))
                await self._clock.sleep(self._settings.poll)
            else:
                return True
        return False

    async def _claim_until_stopped(self) -> None:
        """Claim and begin. After a full claim the next is asked for first: the server is at it meanwhile."""
        waiting: list[Job] = []
        while not self._stopping:
            room = self._slots.room(held=self.busy + len(waiting))
            asked = self._ask(room)
            self._runs.begin(waiting)
            claimed = await self._claimed(asked)
            waiting = claimed if len(claimed) == room else []
            if not waiting:
                self._runs.begin(claimed)
            if not claimed:
                await self._wait_for_work()
        self._runs.begin(waiting)

    def _ask(self, room: int) -> Awaitable[list[Job]] | None:
        free = self._slots.free()
        return self._queue.claim(self.id, free, limit=room) if room > 0 and free else None

    async def _claimed(self, asked: Awaitable[list[Job]] | None) -> list[Job]:
        """Return the jobs that were asked for, their slots taken."""
        if asked is None:
            return []
        try:
            jobs = await asked
        except DatabaseUnavailable as error:
            _log.warning("worker.claim_failed", error=str(error))
        except LeaseLost:
            if await self._beat():
                self._listener.wake()
        else:
            for job in jobs:
                self._slots.take(job.kind)
            return jobs
        return []

    async def _wait_for_work(self) -> None:
        """Return when a slot was freed, something rang, or the safety poll is due."""
        if "cancel" in await self._listener.wait(self._settings.poll):
            await self._beat()

    async def _keep_lease(self) -> None:
        """Beat three times a lease; a worker that may have lost its lease stops its jobs itself."""
        alive_until = self._clock.monotonic() + self._settings.lease
        while True:
            await self._clock.sleep(self._settings.lease / 3)
            began = self._clock.monotonic()
            if await self._beat():
                alive_until = began + self._settings.lease
            elif self._clock.monotonic() >= alive_until - self._settings.lease / 2:
                self._runs.interrupt()

    async def _beat(self) -> bool:
        """Renew the lease and stop what is to be cancelled; tell whether the database answered."""
        try:
            beat = await self._queue.beat(self.id, lease_seconds=self._settings.lease)
        except DatabaseUnavailable:
            return False
        except LeaseLost:
            return await self._begin_anew()
        self._runs.cancel(beat.cancelled)
        return True

    async def _begin_anew(self) -> bool:
        """Drop the jobs that were given away and take a new lease."""
        _log.warning("worker.lease_lost", worker_id=self.id)
        self._runs.interrupt()
        try:
            await self._queue.register(self.id, lease_seconds=self._settings.lease)
        except DatabaseUnavailable:
            return False
        return True

    async def _retire(self) -> None:
        try:
            await self._queue.retire(self.id)
        except DatabaseUnavailable as error:
            _log.warning("worker.not_retired", worker_id=self.id, error=str(error))
