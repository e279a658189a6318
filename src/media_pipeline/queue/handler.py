"""What a worker runs: a handler, the run it is given, and what its errors mean for the job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Final

import msgspec

from media_pipeline.errors import MediaPipelineError
from media_pipeline.queue.job import Attempt, Failure, Job
from media_pipeline.queue.queue import JobFailed, Outcome, Queue, QueueError

_INTERNAL: Final = Failure(
    code="internal", message="Something broke on our side; it has been logged.", retryable=True
)


UNWRITABLE: Final = Failure(code="internal", message="The job failed; why could not be written down.")


class DeadlineExceeded(QueueError):
    """The job took longer than it may."""

    code: ClassVar[str] = "deadline"
    retryable: ClassVar[bool] = True


Insist = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
"""Makes a write again and again until the database takes it."""


class Run(msgspec.Struct, frozen=True):
    """One run of a job, as its handler sees it."""

    job: Job
    queue: Queue
    insist: Insist

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Make the attempts so far durable, however long the database is away.

        Raises `LeaseLost` when the job is not ours any more.
        """
        await self.insist(lambda: self.queue.record(self.job.fence, attempts))


Handler = Callable[[Run], Awaitable[Outcome]]
"""Does the job's work; whatever it does outside must bear repeating. A cancel reaches it as such."""


def describe_failure(error: Exception) -> Failure:
    """Turn what a handler raised into what the job's owner may read."""
    if not isinstance(error, MediaPipelineError):
        return _INTERNAL
    if isinstance(error, JobFailed):
        return error.failure
    return Failure(code=error.code, message=str(error), retryable=error.retryable)
