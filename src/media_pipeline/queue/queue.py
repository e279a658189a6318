"""Durable work: the `Queue` protocol and its errors.

Guarantees: an enqueued job survives any crash and runs at least once; its end is written exactly
once, by the worker that holds its newest claim; a user with any number of jobs cannot hold another
user's job back for more than the jobs that already run. Not guaranteed: that a job runs only once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import msgspec

from media_pipeline.db.database import Effect
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId
from media_pipeline.jsonvalue import JsonObject
from media_pipeline.queue.job import Attempt, Failure, Fence, Job, NewJob, WorkerId


class QueueError(MediaPipelineError):
    """The queue refused."""

    code: ClassVar[str] = "queue_refused"


class JobNotFound(QueueError):
    """There is no such job of this user."""

    code: ClassVar[str] = "job_not_found"


class JobEnded(QueueError):
    """The job has ended; it cannot be cancelled any more."""

    code: ClassVar[str] = "job_ended"


class IdempotencyConflict(QueueError):
    """The key was used within 24 hours for another request; use a new key."""

    code: ClassVar[str] = "idempotency_conflict"


class LeaseLost(QueueError):
    """Another worker owns the job now, or it has ended; nothing was written."""

    code: ClassVar[str] = "lease_lost"


class JobFailed(QueueError):
    """A handler's own word on why its run failed; `retry_after` in seconds where it is known."""

    code: ClassVar[str] = "job_failed"

    def __init__(self, failure: Failure, *, retry_after: float | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The job that answers the request; `created` is False for a repeated idempotency key."""

    job: Job
    created: bool


class Outcome(msgspec.Struct, frozen=True):
    """How a run succeeded: the result, and writes that land with it or not at all."""

    result: JsonObject
    effects: Sequence[Effect] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a heartbeat: which of the worker's jobs their owners want stopped."""

    cancelled: frozenset[JobId]


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, newest first, and where the next page begins."""

    jobs: Sequence[Job]
    next: tuple[float, JobId] | None


@dataclass(frozen=True, slots=True)
class Depth:
    """How one kind of work stands; `oldest_wait` in seconds, of available jobs."""

    kind: str
    states: Mapping[str, int]
    oldest_wait: float


class Queue(Protocol):
    """Keep jobs, hand them to workers, and take their ends.

    Every method raises `DatabaseUnavailable` when nothing could be done now. A method that takes a
    `Fence` raises `LeaseLost` when it is not the job's newest claim.
    """

    async def enqueue(self, new: NewJob) -> Enqueued:
        """Keep a job; durable on return. The same idempotency key within 24 h gives the first one."""
        ...

    async def get(self, job_id: JobId) -> Job:
        """Return a job, or raise `JobNotFound`."""
        ...

    async def find(self, user_id: UserId, idempotency_key: str, request_hash: str | None) -> Job | None:
        """Return the job that a request made before; `IdempotencyConflict` if another made it."""
        ...

    async def list_jobs(
        self, user_id: UserId, *, after: tuple[float, JobId] | None = None, limit: int = 50
    ) -> Page:
        """Return a user's jobs, newest first, after the place that a page named."""
        ...

    async def next_owner(self, after: UserId) -> UserId | None:
        """Return the next user who has jobs, in a fixed order of the database's that begins with ""."""
        ...

    async def cancel(self, job_id: JobId) -> Job:
        """End a job that waits, or ask the worker of one that runs to stop; `JobEnded` if too late."""
        ...

    async def hasten(self, job_id: JobId) -> Job:
        """Make a scheduled job due now; any other stays as it is."""
        ...

    def claim(self, worker_id: WorkerId, free: Mapping[str, int], *, limit: int) -> Awaitable[list[Job]]:
        """Take up to `limit` available jobs, at most `free[kind]` of a kind, best lane first.

        An engine may begin when this is called, not only when its answer is awaited.
        Of the jobs of which one more death would make `crashed`, a worker runs one at a time.
        Raises `LeaseLost` when the worker's lease ran out: beat, or register anew, first.
        """
        ...

    async def register(self, worker_id: WorkerId, *, lease_seconds: float) -> None:
        """Say that a worker begins, perhaps anew, and lives for `lease_seconds`."""
        ...

    async def beat(self, worker_id: WorkerId, *, lease_seconds: float) -> Beat:
        """Say that a worker lives for `lease_seconds` more.

        Raises `LeaseLost` when the lease ran out and the worker's jobs were given away.
        """
        ...

    async def record(self, fence: Fence, attempts: Sequence[Attempt]) -> None:
        """Put the attempts so far on a running job's record; durable on return."""
        ...

    async def finish(self, fence: Fence, outcome: Outcome) -> Job:
        """End a running job with its result, together with the outcome's effects.

        The same once more raises `LeaseLost` or, where an answer was lost, returns the job as it ended.
        """
        ...

    async def fail(self, fence: Fence, failure: Failure, *, retry_after: float | None = None) -> Job:
        """End a run without a result.

        A retryable failure schedules the next run (exponential back-off with full jitter, not
        before `retry_after` seconds) until `max_failures`; a job that was to be cancelled is.
        """
        ...

    async def release(self, fence: Fence) -> Job:
        """Give a running job back unspent, for another worker to take at once."""
        ...

    async def stop(self, fence: Fence) -> Job:
        """End a running job as cancelled."""
        ...

    async def bury(self) -> None:
        """Declare dead the workers whose lease ran out: only for who knows that they could beat."""
        ...

    async def tend(self) -> list[Job]:
        """Move what is due: scheduled jobs, freed slots, jobs of workers that left or are dead.

        Returns the jobs that ended by it: those whose workers kept dying (`crashed`) and those
        that were to be cancelled.
        """
        ...

    async def next_due(self) -> float | None:
        """Return when (Unix seconds) the next scheduled job is due, None without one."""
        ...

    async def retire(self, worker_id: WorkerId) -> None:
        """Forget a worker that stopped; what it still held is given to others by `tend`."""
        ...

    async def unsettled(self, *, older_than: float, limit: int = 100) -> list[Job]:
        """Return jobs that ended more than `older_than` seconds ago without being settled."""
        ...

    async def amend(self, job_id: JobId, attempts: Sequence[Attempt]) -> Job:
        """Put what became known of an ended job's attempts on its record, until it is settled; return it."""
        ...

    async def settle(self, job_id: JobId) -> None:
        """Note that everyone was told of a job's end and its leftovers are gone."""
        ...

    async def prune(self, *, older_than: float, limit: int = 500) -> int:
        """Forget settled jobs that ended more than `older_than` seconds ago; return how many."""
        ...

    async def forget(self, user_id: UserId, *, limit: int = 500) -> int:
        """Forget settled jobs of a user, however new; return how many."""
        ...

    async def depth(self) -> list[Depth]:
        """Count jobs by kind and state."""
        ...


Ring = Literal["work", "cancel", "schedule"]
"""Something to claim, a running job to stop, or a job to start later."""


class Listener(Protocol):
    """One ear; rings are kept until they are waited for."""

    async def wait(self, seconds: float) -> frozenset[Ring]:
        """Return what rang since the last call, at the latest after `seconds`."""
        ...

    def heard(self) -> frozenset[Ring]:
        """Return what rang since the last call, now."""
        ...

    def wake(self) -> None:
        """Make the wait return now."""
        ...


class Doorbell(Protocol):
    """How a queue wakes those who serve it; a lost ring only costs the safety poll's delay."""

    def ring(self, ring: Ring) -> None:
        """Wake every listener that listens for `ring`."""
        ...

    def listen(self, *rings: Ring) -> Listener:
        """Begin to listen for these rings."""
        ...
