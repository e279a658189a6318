"""Telling owners how their jobs stand, and tidying what an ended job leaves.

Guarantees: an end is told before it counts as settled, and may be told again after a crash under
the same key; objects of an ended job that its result does not name are gone when it is settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog

from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import UserId
from media_pipeline.media.limits import Allowance, LimitReached
from media_pipeline.media.present import named_objects, present_result
from media_pipeline.media.quota import Quota
from media_pipeline.queue.job import Failure, Job, JobState, NewJob
from media_pipeline.queue.queue import Enqueued, IdempotencyConflict, Queue
from media_pipeline.realtime.events import (
    GENERATION,
    PROCESS,
    UPLOAD,
    Event,
    Family,
    JobCancelled,
    JobQueued,
)
from media_pipeline.realtime.publisher import Publisher
from media_pipeline.storage.paths import derived_prefix, user_root
from media_pipeline.storage.store import Store
from media_pipeline.tracing import following, span

FAMILIES: Final[Mapping[str, Family]] = {
    "generate.image": GENERATION,
    "generate.video": GENERATION,
    "upload": UPLOAD,
    "import": UPLOAD,
    "process": PROCESS,
}
"""Which events each kind of job has."""

SHELVES: Final = {"generate.image": "images", "generate.video": "videos"}
"""Where results of a kind stand together; any other job's have a folder of their own."""

_log = structlog.get_logger(__name__)
_UNEXPLAINED: Final = Failure(code="internal", message="The job failed; no reason was kept.")


class JobAnnouncer:
    """The `Announcer` of a program with a queue, a bus and a store."""

    def __init__(
        self, queue: Queue, publisher: Publisher, store: Store, quota: Quota, allowance: Allowance
    ) -> None:
        self._queue = queue
        self._quota = quota
        self._allowance = allowance
        self._publisher = publisher
        self._store = store

    async def enqueue(self, new: NewJob) -> Enqueued:
        """Keep a job and tell that it stands in the queue; a repeated request is answered, not told again.

        Ask `find_repeated` before anything that may refuse a request for what has changed since.

        Raises `LimitReached` when its user may have no more jobs now; what was promised to one that is not
        kept is taken back.
        """
        try:
            await self._admit(new)
            enqueued = await self._queue.enqueue(new)
        except (IdempotencyConflict, LimitReached):
            await self._take_back(new)
            raise
        if enqueued.created:
            await self.queued(enqueued.job)
        else:
            await self._take_back(new)
        return enqueued

    async def find_repeated(
        self, user_id: UserId, idempotency_key: str | None, request_hash: str | None
    ) -> Job | None:
        """Return the job that this request made before; `IdempotencyConflict` if another used its key."""
        if idempotency_key is None:
            return None
        return await self._queue.find(user_id, idempotency_key, request_hash)

    async def _admit(self, new: NewJob) -> None:
        try:
            await self._allowance.promise(new)
        except LimitReached:
            if await self.find_repeated(new.user_id, new.idempotency_key, new.request_hash) is None:
                raise

    async def _take_back(self, new: NewJob) -> None:
        await self._allowance.withdraw(new.id)
        await self._quota.release(new.id)

    async def queued(self, job: Job) -> None:
        """Tell that a job stands in the queue; an upload begins right away.

        Never raises: the job is safe, and who starts it tells this first.
        """
        try:
            await self._publish(job, _beginning(job))
        except MediaPipelineError as error:
            _log.warning("job.not_announced", job_id=job.id, error=str(error))

    async def started(self, job: Job) -> None:
        if job.attempt == 1:  # the request that made the job may be slower than the worker that took it
            await self.queued(job)
        await self._publish(job, FAMILIES[job.kind].started(job_id=job.id))

    async def ended(self, job: Job) -> None:
        await self._publish(job, await self._end(job))
        await self._tidy(job)
        await self._allowance.settle(job)
        await self._queue.settle(job.id)

    async def lost(self, job: Job) -> None:
        now = await self._queue.get(job.id)
        if now.ended:  # else whoever ends it tidies
            await self._tidy(now)

    async def history(self, job: Job) -> list[Event]:
        """Return the events of a job's states so far, as its record tells them."""
        events = [_beginning(job)]
        if job.started_at is not None and job.kind != "upload":
            events.append(FAMILIES[job.kind].started(job_id=job.id))
        if job.ended:
            events.append(await self._end(job))
        return events

    async def _publish(self, job: Job, event: Event) -> None:
        with following(job.trace), span("event.publish", event=event.name):
            await self._publisher.publish(job.user_id, event)

    async def _end(self, job: Job) -> Event:
        family = FAMILIES[job.kind]
        if job.state is JobState.CANCELLED:
            return JobCancelled(job_id=job.id)
        if job.state is JobState.SUCCEEDED and job.result is not None:
            return family.complete(job_id=job.id, result=await present_result(self._store, job.result))
        failure = job.error or _UNEXPLAINED
        return family.failed(
            job_id=job.id, error=failure.message, code=failure.code, retryable=failure.retryable
        )

    async def _tidy(self, job: Job) -> None:
        """Remove every object of the job that its result does not name, and what it was promised.

        Partial pictures, what an earlier run made and a later one did not, all of it without a result.
        """
        named = named_objects(job.result or {})
        for prefix in result_prefixes(job):
            for left in await self._store.list(prefix):
                if left.path not in named:
                    await self._store.delete(left.path, if_version=left.version)
        if FAMILIES[job.kind] is UPLOAD and job.state is not JobState.SUCCEEDED:
            await self._quota.release(job.id)


def result_prefixes(job: Job) -> tuple[str, str]:
    """Return every prefix under which a job of its kind may have written."""
    root = user_root(job.user_id)
    shelf = SHELVES.get(job.kind)
    return (f"{root}{shelf}/{job.id}_" if shelf else f"{root}{job.id}/", derived_prefix(job.user_id, job.id))


def _beginning(job: Job) -> Event:
    if job.kind == "upload":
        return FAMILIES[job.kind].started(job_id=job.id)
    return JobQueued(job_id=job.id)
