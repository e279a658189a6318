"""The worker: claim, run, end; wake at once, drain in peace.

Guarantees: never more than `concurrency` handlers at work, nor more of a kind than its limit; a job
that its owner cancels is stopped; what a drain cannot finish in its grace is given back unspent. A
job whose handler is done leaves its slot while its end is being written, so that claims and ends go on
side by side; at most as many more wait for that as there are slots.
Not guaranteed: that a handler ran only once; whatever it does outside must bear repeating.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

import structlog

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.errors import MediaPipelineError
from media_pipeline.failpoints import failpoint
from media_pipeline.ids import JobId
from media_pipeline.queue.announcer import Announcer, announce_end, announce_loss, announce_start
from media_pipeline.queue.deadline import Deadline
from media_pipeline.queue.handler import UNWRITABLE, Handler, Run, describe_failure
from media_pipeline.queue.job import Job, JobState, WorkerId
from media_pipeline.queue.queue import Doorbell, LeaseLost, Outcome, Queue
from media_pipeline.queue.slots import Slots
from media_pipeline.tracing import following, span

__all__ = ["Announcer", "Handler", "Run", "Worker", "WorkerSettings", "announce_end", "describe_failure"]

_log = structlog.get_logger(__name__)
T = TypeVar("T")
LAST_CALL: Final = 2.0
"""Seconds that interrupted jobs have to be given back when the grace is over."""


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
        self._log = _log.bind(worker_id=self.id)  # bound once: a line that is not shown costs nothing
        self._queue = queue
        self._handlers = dict(handlers)
        self._announcer = announcer
        self._listener = doorbell.listen("work", "cancel")
        self._settings = settings or WorkerSettings()
        self._slots = Slots(
            self._handlers, total=self._settings.concurrency, per_kind=self._settings.per_kind
        )
        self._clock = clock or SystemClock()
        self._running: dict[asyncio.Task[None], Job] = {}
        self._interruptible: set[asyncio.Task[None]] = set()
        self._cancelled: set[JobId] = set()
        self._stopping = False
        self._grace_over = False

    @property
    def busy(self) -> int:
        """How many jobs run now."""
        return len(self._running)

    async def run(self) -> None:
        """Work until `stop`, then drain."""
        if not await self._join():
            return
        try:
            async with asyncio.TaskGroup() as group:
                beating = group.create_task(self._keep_lease())
                await self._claim_until_stopped()
                await self._drain()
                beating.cancel()
        finally:
            for task in self._running:
                task.cancel()
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
            self._begin_all(waiting)
            claimed = await self._claimed(asked)
            waiting = claimed if len(claimed) == room else []
            if not waiting:
                self._begin_all(claimed)
            if not claimed:
                await self._wait_for_work()
        self._begin_all(waiting)

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

    def _begin_all(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._begin(job)

    def _begin(self, job: Job) -> None:
        failpoint("after_claim")
        with following(job.trace):
            self._log.debug(
                "job.claimed",
                job_id=job.id,
                kind=job.kind,
                attempt=job.attempt,
                seconds=max(0.0, self._clock.now() - job.created_at),
            )
            task = asyncio.create_task(self._execute(job))
        self._running[task] = job
        task.add_done_callback(self._forget)

    def _leave_slot(self, job: Job) -> None:
        self._slots.leave(job.kind)
        self._listener.wake()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._cancelled.discard(self._running.pop(task).id)
        self._listener.wake()

    async def _execute(self, job: Job) -> None:
        """Run one job to its end; whatever happens, its record says so or another worker will."""
        with span("job.run", job_id=job.id, kind=job.kind, attempt=job.attempt):
            await self._run(job)

    async def _run(self, job: Job) -> None:
        began = self._clock.monotonic()
        try:
            ended = await self._run_to_end(job)
        except LeaseLost:
            _log.warning("job.lease_lost", job_id=job.id, kind=job.kind, attempt=job.attempt)
            await announce_loss(self._announcer, job)
            return
        except DatabaseUnavailable as error:
            _log.warning("job.left_to_rescue", job_id=job.id, attempt=job.attempt, error=str(error))
            return
        if ended.ended:
            self._log.info(
                "job.ended",
                job_id=job.id,
                kind=job.kind,
                state=ended.state,
                attempt=job.attempt,
                seconds=round(self._clock.monotonic() - began, 3),
            )
            failpoint("after_commit")
            await announce_end(self._announcer, ended)
            failpoint("after_publish")
        elif ended.state is JobState.SCHEDULED:
            self._log.info("job.to_be_retried", job_id=job.id, kind=job.kind, failures=ended.failures)

    async def _run_to_end(self, job: Job) -> Job:
        try:
            outcome = await self._handle(job)
            failpoint("before_commit")
            return await self._insist(lambda: self._queue.finish(job.fence, outcome))
        except asyncio.CancelledError:
            return await self._give_up(job)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - a handler may raise anything; the job's record takes it
            return await self._fail(job, error)

    async def _handle(self, job: Job) -> Outcome:
        """Announce the start and run the handler; only here may an interruption reach the job."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._interruptible.add(task)
        try:
            if self._grace_over or job.id in self._cancelled:
                raise asyncio.CancelledError
            await announce_start(self._announcer, job)
            with Deadline(task, self._settings.deadline):
                return await self._handlers[job.kind](Run(job, self._queue, self._insist))
        finally:
            self._interruptible.discard(task)
            self._leave_slot(job)

    async def _insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write until the database takes it: paid work is not dropped for an outage."""
        while True:
            try:
                return await write()
            except DatabaseUnavailable as error:
                if self._grace_over:
                    raise
                _log.warning("worker.write_delayed", error=str(error))
            await self._clock.sleep(self._settings.poll)

    async def _give_up(self, job: Job) -> Job:
        end = self._queue.stop if job.id in self._cancelled else self._queue.release
        return await self._insist(lambda: end(job.fence))

    async def _fail(self, job: Job, error: Exception) -> Job:
        failure = describe_failure(error)
        retry_after = getattr(error, "retry_after", None)
        _log.warning(
            "job.run_failed",
            job_id=job.id,
            kind=job.kind,
            code=failure.code,
            exc_info=None if isinstance(error, MediaPipelineError) else error,
        )
        try:
            return await self._insist(lambda: self._queue.fail(job.fence, failure, retry_after=retry_after))
        except (LeaseLost, DatabaseUnavailable):
            raise
        except Exception as refusal:  # noqa: BLE001 - a failure that cannot be written must not keep the job
            _log.error("job.failure_refused", job_id=job.id, exc_info=refusal)
            return await self._insist(lambda: self._queue.fail(job.fence, UNWRITABLE))

    async def _keep_lease(self) -> None:
        """Beat three times a lease; a worker that may have lost its lease stops its jobs itself."""
        alive_until = self._clock.monotonic() + self._settings.lease
        while True:
            await self._clock.sleep(self._settings.lease / 3)
            began = self._clock.monotonic()
            if await self._beat():
                alive_until = began + self._settings.lease
            elif self._clock.monotonic() >= alive_until - self._settings.lease / 2:
                self._interrupt(self._running)

    async def _beat(self) -> bool:
        """Renew the lease and stop what is to be cancelled; tell whether the database answered."""
        try:
            beat = await self._queue.beat(self.id, lease_seconds=self._settings.lease)
        except DatabaseUnavailable:
            return False
        except LeaseLost:
            return await self._begin_anew()
        mine = [task for task, job in self._running.items() if job.id in beat.cancelled]
        self._cancelled.update(self._running[task].id for task in mine)
        self._interrupt(mine)
        return True

    async def _begin_anew(self) -> bool:
        """Drop the jobs that were given away and take a new lease."""
        _log.warning("worker.lease_lost", worker_id=self.id)
        self._interrupt(self._running)
        try:
            await self._queue.register(self.id, lease_seconds=self._settings.lease)
        except DatabaseUnavailable:
            return False
        return True

    def _interrupt(self, tasks: Collection[asyncio.Task[None]]) -> None:
        for task in self._interruptible.intersection(tasks):
            task.cancel()

    async def _drain(self) -> None:
        """Let running jobs end within the grace, then give the rest back unspent."""
        if self._running:
            await asyncio.wait(self._running, timeout=self._settings.grace)
        self._grace_over = True
        left = list(self._running)
        self._interrupt(left)
        if left:
            _log.info("worker.released", jobs=len(left))
            await asyncio.wait(left, timeout=LAST_CALL)

    async def _retire(self) -> None:
        try:
            await self._queue.retire(self.id)
        except DatabaseUnavailable as error:
            _log.warning("worker.not_retired", worker_id=self.id, error=str(error))
