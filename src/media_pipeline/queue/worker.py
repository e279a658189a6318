"""The worker: claim, run, end; wake at once, drain in peace.

Guarantees: never more than `concurrency` jobs at a time, nor more of a kind than its limit; a job
that its owner cancels is stopped; what a drain cannot finish in its grace is given back unspent.
Not guaranteed: that a handler ran only once; whatever it does outside must bear repeating.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.errors import MediaPipelineError
from media_pipeline.failpoints import failpoint
from media_pipeline.ids import JobId
from media_pipeline.queue.job import Attempt, Failure, Job, WorkerId
from media_pipeline.queue.queue import Doorbell, JobFailed, LeaseLost, Outcome, Queue

_log = structlog.get_logger(__name__)
_INTERNAL = Failure(
    code="internal", message="Something broke on our side; it has been logged.", retryable=True
)


class Announcer(Protocol):
    """Who tells people how their jobs stand."""

    async def started(self, job: Job) -> None:
        """Tell that work on a job begins."""
        ...

    async def ended(self, job: Job) -> None:
        """Tell a job's end, tidy what it leaves, and settle it; called again until it succeeds."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job, as its handler sees it."""

    job: Job
    queue: Queue

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Make the attempts so far durable; `LeaseLost` when the job is not ours any more."""
        await self.queue.record(self.job.fence, attempts)


Handler = Callable[[Run], Awaitable[Outcome]]


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
        self._handlers = dict(handlers)
        self._announcer = announcer
        self._listener = doorbell.listen("work", "cancel")
        self._settings = settings or WorkerSettings()
        self._clock = clock or SystemClock()
        self._running: dict[JobId, asyncio.Task[None]] = {}
        self._cancelled: set[JobId] = set()
        self._interruptible: set[JobId] = set()
        self._stopping = asyncio.Event()
        self._turn = 0

    @property
    def busy(self) -> int:
        """How many jobs run now."""
        return len(self._running)

    async def run(self) -> None:
        """Work until `stop`, then drain."""
        await self._queue.register(self.id, lease_seconds=self._settings.lease)
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self._keep_lease())
            await self._claim_until_stopped()
            await self._drain()
            beating.cancel()
        await self._queue.retire(self.id)

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the running jobs ended or were given back."""
        self._stopping.set()
        self._listener.wake()

    async def _claim_until_stopped(self) -> None:
        while not self._stopping.is_set():
            claimed = await self._claim()
            for job in claimed:
                self._begin(job)
            if not claimed:
                await self._wait_for_work()

    async def _claim(self) -> list[Job]:
        free = self._free()
        room = self._settings.concurrency - self.busy
        if room <= 0 or not free:
            return []
        try:
            return await self._queue.claim(self.id, free, limit=room)
        except DatabaseUnavailable as error:
            _log.warning("worker.claim_failed", error=str(error))
            await self._pause(self._settings.poll)
            return []

    def _free(self) -> dict[str, int]:
        """Return the free slots by kind, another kind first each time."""
        self._turn += 1
        kinds = list(self._handlers)
        turn = self._turn % len(kinds)
        running = [task.get_name() for task in self._running.values()]
        limits = {
            kind: self._settings.per_kind.get(kind, self._settings.concurrency) - running.count(kind)
            for kind in kinds[turn:] + kinds[:turn]
        }
        return {kind: free for kind, free in limits.items() if free > 0}

    async def _wait_for_work(self) -> None:
        """Return when a slot was freed, something rang, or the safety poll is due."""
        if "cancel" in await self._listener.wait(self._settings.poll):
            await self._beat()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _begin(self, job: Job) -> None:
        failpoint("after_claim")
        task = asyncio.create_task(self._execute(job), name=job.kind)
        self._running[job.id] = task
        task.add_done_callback(lambda _: self._forget(job.id))

    def _forget(self, job_id: JobId) -> None:
        self._running.pop(job_id, None)
        self._cancelled.discard(job_id)
        self._listener.wake()

    async def _execute(self, job: Job) -> None:
        """Run one job to its end; whatever happens, its record says so or another worker will."""
        try:
            ended = await self._run_handler(job)
        except LeaseLost:
            _log.warning("job.lease_lost", job_id=job.id, attempt=job.attempt)
            return
        if ended is not None and ended.ended:
            _log.info("job.ended", job_id=job.id, kind=job.kind, state=ended.state, attempt=job.attempt)
            failpoint("after_commit")
            await announce_end(self._announcer, ended)
            failpoint("after_publish")

    async def _run_handler(self, job: Job) -> Job | None:
        self._interruptible.add(job.id)
        try:
            await self._announce_start(job)
            async with asyncio.timeout(self._settings.deadline):
                outcome = await self._handlers[job.kind](Run(job, self._queue))
        except asyncio.CancelledError:
            return await self._on_cancelled(job)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - a handler may raise anything; the job's record takes it
            return await self._fail(job, error)
        finally:
            self._interruptible.discard(job.id)
        failpoint("before_commit")
        return await self._insist(lambda: self._queue.finish(job.fence, outcome))

    async def _announce_start(self, job: Job) -> None:
        try:
            await self._announcer.started(job)
        except MediaPipelineError as error:
            _log.warning("job.start_not_announced", job_id=job.id, error=str(error))

    async def _insist(self, write: Callable[[], Awaitable[Job]]) -> Job:
        """Write an end until the database takes it: paid work is not dropped for an outage."""
        while True:
            try:
                return await write()
            except DatabaseUnavailable as error:
                _log.warning("job.end_not_written", error=str(error))
                await self._clock.sleep(self._settings.poll)

    async def _on_cancelled(self, job: Job) -> Job | None:
        try:
            if job.id in self._cancelled:
                return await self._queue.stop(job.fence)
            return await self._queue.release(job.fence)
        except DatabaseUnavailable as error:
            _log.warning("job.not_released", job_id=job.id, error=str(error))
            return None

    async def _fail(self, job: Job, error: Exception) -> Job:
        failure = describe_failure(error)
        _log.warning(
            "job.run_failed",
            job_id=job.id,
            kind=job.kind,
            code=failure.code,
            exc_info=None if isinstance(error, MediaPipelineError) else error,
        )
        retry_after = error.retry_after if isinstance(error, JobFailed) else None
        return await self._insist(lambda: self._queue.fail(job.fence, failure, retry_after=retry_after))

    async def _keep_lease(self) -> None:
        """Beat three times a lease; a worker that may have lost its lease stops its jobs itself."""
        alive_until = self._clock.monotonic() + self._settings.lease
        while True:
            await self._clock.sleep(self._settings.lease / 3)
            began = self._clock.monotonic()
            if await self._beat():
                alive_until = began + self._settings.lease
            elif self._clock.monotonic() >= alive_until - self._settings.lease / 2:
                self._interrupt(list(self._running))

    async def _beat(self) -> bool:
        try:
            beat = await self._queue.beat(self.id, lease_seconds=self._settings.lease)
        except DatabaseUnavailable:
            return False
        except LeaseLost:
            _log.warning("worker.lease_lost", worker_id=self.id)
            self._interrupt(list(self._running))
            await self._queue.register(self.id, lease_seconds=self._settings.lease)
            return True
        mine = [job_id for job_id in beat.cancelled if job_id in self._running]
        self._cancelled.update(mine)
        self._interrupt(mine)
        return True

    def _interrupt(self, job_ids: Sequence[JobId]) -> None:
        for job_id in self._interruptible.intersection(job_ids):
            self._running[job_id].cancel()

    async def _drain(self) -> None:
        """Let running jobs end within the grace, then give the rest back unspent."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=self._settings.grace)
        left = list(self._running.values())
        self._interrupt(list(self._running))
        if left:
            _log.info("worker.released", jobs=len(left))
            await asyncio.wait(left)


async def announce_end(announcer: Announcer, job: Job) -> None:
    """Announce now; what fails here is announced again by the republisher."""
    try:
        await announcer.ended(job)
    except MediaPipelineError as error:
        _log.warning("job.not_settled", job_id=job.id, error=str(error))


def describe_failure(error: Exception) -> Failure:
    """Turn what a handler raised into what the job's owner may read."""
    if isinstance(error, TimeoutError):
        return Failure(code="deadline", message="The job took longer than it may.", retryable=True)
    if isinstance(error, JobFailed):
        return error.failure
    if isinstance(error, MediaPipelineError):
        return Failure(code=error.code, message=str(error), retryable=error.retryable)
    return Failure(
        code="internal", message="Something broke on our side; it has been logged.", retryable=True
    )
