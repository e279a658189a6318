"""Erasing a user: every row, object and kept event that is theirs.

Guarantees: nothing is removed before the user's jobs have ended, so no worker brings anything back; whatever
it is cut off by, the next run goes on, for the jobs go last; others' things are not looked at. What the user
begins meanwhile goes too, as long as it is begun before the end.
Not guaranteed: what reaches the store later by an upload's URL that was given before; a run after those have
expired finds it. Nothing here reaches logs, backups, providers, or a bucket's own older versions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from media_pipeline.clock import Clock
from media_pipeline.db.database import Database, Params
from media_pipeline.db.statements import load_statements
from media_pipeline.failpoints import failpoint
from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.announcer import Announcer, announce_end
from media_pipeline.queue.job import Job
from media_pipeline.queue.queue import JobEnded, JobNotFound, Queue
from media_pipeline.realtime.bus import Bus
from media_pipeline.storage.paths import derived_root, user_root
from media_pipeline.storage.store import Store

BATCH: Final = 500
POLL: Final = 0.25
_SQL: Final = load_statements("media_pipeline.media", "sql/erase.sql")


@dataclass(frozen=True, slots=True)
class Erased:
    """How much there was of a user."""

    jobs: int = 0
    items: int = 0
    objects: int = 0

    def __add__(self, other: Erased) -> Erased:
        return Erased(self.jobs + other.jobs, self.items + other.items, self.objects + other.objects)


class Eraser:
    """Erase users. Somebody must tend the queue meanwhile, so that jobs of dead workers end too."""

    def __init__(
        self, queue: Queue, announcer: Announcer, database: Database, store: Store, bus: Bus, *, clock: Clock
    ) -> None:
        self._queue = queue
        self._announcer = announcer
        self._db = database
        self._store = store
        self._bus = bus
        self._clock = clock

    async def erase(self, user_id: UserId) -> Erased:
        """Erase everything of a user, again until nothing is left; return what there was."""
        erased = Erased()
        while (now := await self._once(user_id)) != Erased():
            erased += now
        return erased

    async def _once(self, user_id: UserId) -> Erased:
        await self._end_jobs(user_id)
        await self._forget("words", user_id)
        items = await self._forget("items", user_id)
        for books in ("index", "promises", "owner", "expenses", "requests"):
            await self._forget(books, user_id)
        objects = await self._delete_objects(user_id)
        jobs = await self._forget_jobs(user_id)
        await self._bus.forget(user_id)
        return Erased(jobs, items, objects)

    async def _end_jobs(self, user_id: UserId) -> None:
        """Cancel what has not ended, and wait until every end was told and its leftovers are gone."""
        while open_jobs := [job.id async for job in self._jobs(user_id) if not job.settled]:
            for job_id in open_jobs:
                await self._cancel(job_id)
            for job_id in open_jobs:
                while not await self._is_settled(job_id):
                    await self._clock.sleep(POLL)

    async def _jobs(self, user_id: UserId) -> AsyncIterator[Job]:
        page = await self._queue.list_jobs(user_id, limit=BATCH)
        while page.jobs:
            for job in page.jobs:
                yield job
            if page.next is None:
                return
            page = await self._queue.list_jobs(user_id, after=page.next, limit=BATCH)

    async def _cancel(self, job_id: JobId) -> None:
        with suppress(JobEnded, JobNotFound):
            job = await self._queue.cancel(job_id)
            if job.ended:
                await announce_end(self._announcer, job)

    async def _is_settled(self, job_id: JobId) -> bool:
        try:
            return (await self._queue.get(job_id)).settled
        except JobNotFound:  # pruned, or erased by another
            return True

    async def _forget(self, statement: str, user_id: UserId) -> int:
        params: Params = {"user_id": user_id, "limit": BATCH}
        forgotten = 0
        while rows := await self._db.execute(_SQL[statement], params):
            forgotten += len(rows)
            failpoint("mid_erase")
        return forgotten

    async def _delete_objects(self, user_id: UserId) -> int:
        deleted = 0
        for root in (user_root(user_id), derived_root(user_id)):
            async for each in self._store.walk(root):
                await self._store.delete(each.path)
                deleted += 1
                failpoint("mid_erase")
        return deleted

    async def _forget_jobs(self, user_id: UserId) -> int:
        forgotten = 0
        while count := await self._queue.forget(user_id, limit=BATCH):
            forgotten += count
            failpoint("mid_erase")
        return forgotten
