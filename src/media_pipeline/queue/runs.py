"""The runs of a worker: each job goes to its end, or back to the queue, whatever happens.

Guarantees: a job leaves its slot as soon as its handler is done, also while its end is being written; what a
database refuses for now is written again until it takes it, or the grace is over.
Not guaranteed: that a handler ran only once; whatever it does outside must bear repeating.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final, TypeVar, cast

import structlog

from media_pipeline.clock import Clock
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.errors import MediaPipelineError
from media_pipeline.failpoints import failpoint
from media_pipeline.ids import JobId
from media_pipeline.queue.announcer import Announcer, announce_end, announce_loss, announce_start
from media_pipeline.queue.deadline import Deadline
from media_pipeline.queue.handler import UNWRITABLE, Handler, Run, describe_failure
from media_pipeline.queue.job import Job, JobState, WorkerId
from media_pipeline.queue.queue import LeaseLost, Outcome, Queue
from media_pipeline.queue.slots import Slots
from media_pipeline.tracing import following, span

_log = structlog.get_logger(__name__)
T = TypeVar("T")
LAST_CALL: Final = 2.0
"""Seconds that interrupted jobs have to be given back when the grace is over."""


class Runs:
    """The jobs of one worker. `deadline` and `poll` in seconds; `wake` is called when one leaves."""

    def __init__(
        self,
        queue: Queue,
        handlers: Mapping[str, Handler],
        announcer: Announcer,
        slots: Slots,
        *,
        worker_id: WorkerId,
        deadline: float,
        poll: float,
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._log = _log.bind(worker_id=worker_id)  # bound once: a line that is not shown costs nothing
        self._queue = queue
        self._handlers = handlers
        self._announcer = announcer
        self._slots = slots
        self._deadline = deadline
        self._poll = poll
        self._wake = wake
        self._clock = clock
        self._running: dict[asyncio.Task[None], Job] = {}
        self._interruptible: set[asyncio.Task[None]] = set()
        self._cancelled: set[JobId] = set()
        self._grace_over = False

    @property
    def busy(self) -> int:
        """How many jobs are at work, or their ends being written."""
        return len(self._running)

    def begin(self, jobs: Iterable[Job]) -> None:
        """Run claimed jobs, whose slots are taken."""
        for job in jobs:
            self._begin(job)

    def cancel(self, job_ids: Collection[JobId]) -> None:
        """Stop those of these jobs that are here, as their owners want it."""
        mine = [task for task, job in self._running.items() if job.id in job_ids]
        self._cancelled.update(self._running[task].id for task in mine)
        self._interrupt(mine)

    def interrupt(self) -> None:
        """Stop all jobs; they are given back, or have been given away."""
        self._interrupt(self._running)

    async def drain(self, grace: float) -> None:
        """Let running jobs end within `grace` seconds, then give the rest back unspent."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        self._grace_over = True
        left = list(self._running)
        self._interrupt(left)
        if left:
            _log.info("worker.released", jobs=len(left))
            await asyncio.wait(left, timeout=LAST_CALL)

    def abandon(self) -> None:
        """Cancel whatever still runs; rescue finds it."""
        for task in self._running:
            task.cancel()

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
        self._wake()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._cancelled.discard(self._running.pop(task).id)
        self._wake()

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
            with Deadline(task, self._deadline):
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
            await self._clock.sleep(self._poll)

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

    def _interrupt(self, tasks: Collection[asyncio.Task[None]]) -> None:
        for task in self._interruptible.intersection(tasks):
            task.cancel()
