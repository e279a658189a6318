"""Who makes rows and objects agree again, after a crash, a late write or a hand in the bucket.

Guarantees: an object is removed only when its job stands in this database's queue, ended more than
`AGE` ago, and no row stands for it; a row only when the store, asked once more, has no such object.
When most of a user's objects are missing it is the store that is wrong, and nothing is removed.
Not guaranteed: anything about objects of jobs that this database does not know.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from media_pipeline.clock import Clock
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.library import Kept, Library
from media_pipeline.media.limits import Allowance
from media_pipeline.media.quota import Quota
from media_pipeline.queue.queue import JobNotFound, Queue
from media_pipeline.realtime.events import MediaDeleted
from media_pipeline.realtime.publisher import Publisher
from media_pipeline.storage.paths import derived_root, job_of_path, user_root
from media_pipeline.storage.store import MediaObject, ObjectNotFound, PreconditionFailed, Store, StoreError

AGE: Final = 3600.0
"""Seconds that an object and its job's end must be old: nobody writes there any more."""
_A_FEW: Final = 10

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed: objects that nothing stood for, rows that stood for nothing."""

    objects: int = 0
    rows: int = 0


class Sweeper:
    """Sweep every user's objects and rows, every `interval` seconds until cancelled."""

    def __init__(
        self,
        queue: Queue,
        library: Library,
        store: Store,
        publisher: Publisher,
        quota: Quota,
        allowance: Allowance,
        *,
        clock: Clock,
        interval: float,
    ) -> None:
        self._queue = queue
        self._library = library
        self._store = store
        self._publisher = publisher
        self._quota = quota
        self._allowance = allowance
        self._clock = clock
        self._interval = interval

    async def run(self) -> None:
        """Wait, sweep, wait again."""
        while True:
            await self._clock.sleep(self._interval)
            try:
                swept = await self.sweep()
            except (DatabaseUnavailable, StoreError) as error:
                _log.warning("sweeper.failed", error=str(error))
            else:
                _log.info("sweeper.swept", objects=swept.objects, rows=swept.rows)

    async def sweep(self) -> Swept:
        """Make rows and objects of every user agree; raises what keeps it from going on."""
        await self._quota.forget_expired()
        await self._allowance.forget_old()
        objects = rows = 0
        owner = await self._queue.next_owner(UserId(""))
        while owner is not None:
            stored = [*await self._store.list(user_root(owner)), *await self._store.list(derived_root(owner))]
            kept = await self._library.kept(owner)  # read after the objects: what landed meanwhile is in it
            objects += await self._remove_orphans(stored, kept)
            rows += await self._remove_dangling(owner, stored, kept)
            owner = await self._queue.next_owner(owner)
        return Swept(objects, rows)

    async def _remove_orphans(self, stored: Sequence[MediaObject], kept: Sequence[Kept]) -> int:
        """Remove what no row stands for; whatever is derived stays as long as its job has a row."""
        paths, jobs = {row.path for row in kept}, {row.job_id for row in kept}
        loose = [
            each
            for each in stored
            if each.path not in paths
            and not (each.path.startswith("derived/") and job_of_path(each.path) in jobs)
            and each.created_at.timestamp() < self._clock.now() - AGE
        ]
        owners = {each.path: job_of_path(each.path) for each in loose}
        over = {job_id for job_id in set(owners.values()) if job_id and await self._is_over(job_id)}
        orphans = [each for each in loose if owners[each.path] in over]
        for orphan in orphans:
            with suppress(PreconditionFailed):  # written meanwhile, so it is not so old after all
                await self._store.delete(orphan.path, if_version=orphan.version)
                _log.info("sweeper.object_removed", job_id=owners[orphan.path], size=orphan.size)
        return len(orphans)

    async def _is_over(self, job_id: JobId) -> bool:
        try:
            job = await self._queue.get(job_id)
        except JobNotFound:
            return False
        return job.settled and (job.finished_at or 0) < self._clock.now() - AGE

    async def _remove_dangling(
        self, owner: UserId, stored: Sequence[MediaObject], kept: Sequence[Kept]
    ) -> int:
        """Remove rows without an object, unless so many that the store must be another."""
        there = {each.path for each in stored}
        missing = [row.path for row in kept if not row.removing and row.path not in there]
        missing = [path for path in missing if await self._is_missing(path)]
        if len(missing) > _A_FEW and len(missing) * 2 > len(kept):
            _log.error("sweeper.store_looks_wrong", missing=len(missing), items=len(kept))
            return 0
        if missing:
            await self._library.remove_all(owner, missing)
            await self._tell(owner, missing)
        return len(missing)

    async def _is_missing(self, path: str) -> bool:
        try:
            await self._store.stat(path)
        except ObjectNotFound:
            return True
        return False

    async def _tell(self, owner: UserId, paths: Sequence[str]) -> None:
        try:
            await self._publisher.publish(owner, MediaDeleted(id=str(uuid.uuid4()), paths=paths))
        except MediaPipelineError as error:
            _log.warning("sweeper.not_told", error=str(error))
