"""The queue in SQLite: one process, one writer, every method one transaction.

Time is the clock of the database object, so leases and schedules have one source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from media_pipeline.db.database import Params, Row
from media_pipeline.db.sqlite import Connection, SqliteDatabase
from media_pipeline.ids import JobId, UserId
from media_pipeline.queue import leaving
from media_pipeline.queue.backoff import Backoff
from media_pipeline.queue.job import Attempt, Failure, Fence, Job, JobState, NewJob, WorkerId
from media_pipeline.queue.queue import Beat, Depth, Doorbell, Enqueued, Outcome, Page
from media_pipeline.queue.records import KEY_LIFE_US, JobRow, check_repeated, encode, read_job, seconds
from media_pipeline.queue.rescuer import tell_rescues
from media_pipeline.queue.sqlite_moves import BATCH, SQL, Moves, get_job

FAR_FUTURE: Final = 1 << 62


class SqliteQueue:
    """The `Queue` of one process. `window` is how many of a user's jobs of a kind may be in play.

    A window as wide as the worker's slots keeps every slot busy and no user waiting behind
    another's backlog; a narrower one is a hard limit of running jobs per user.
    """

    def __init__(
        self,
        database: SqliteDatabase,
        doorbell: Doorbell,
        *,
        window: Callable[[str], int] = lambda _kind: 4,
        backoff: Backoff | None = None,
    ) -> None:
        self._db = database
        self._doorbell = doorbell
        self._moves = Moves(database.now_us, window)
        self._backoff = backoff or Backoff()

    async def open(self) -> None:
        """Take over from an earlier process: its workers are dead, for the file is ours."""
        await self._write("bury_all", {})

    async def enqueue(self, new: NewJob) -> Enqueued:
        enqueued = await self._db.transact(lambda conn: self._moves.enqueue(conn, new))
        if enqueued.created:
            self._ring_for(enqueued.job)
        return enqueued

    async def get(self, job_id: JobId) -> Job:
        return await self._db.read(lambda conn: get_job(conn, job_id))

    async def find(self, user_id: UserId, idempotency_key: str, request_hash: str | None) -> Job | None:
        for row in await self._read("find_key", {"user_id": user_id, "idempotency_key": idempotency_key}):
            if row["created_at"] > self._after(-KEY_LIFE_US / 1e6):
                check_repeated(row, request_hash)
                return read_job(row)
        return None

    async def list_jobs(
        self, user_id: UserId, *, after: tuple[float, JobId] | None = None, limit: int = 50
    ) -> Page:
        created_at, job_id = (round(after[0] * 1e6), after[1]) if after else (FAR_FUTURE, JobId(""))
        place: Params = {"user_id": user_id, "created_at": created_at, "id": job_id, "limit": limit + 1}
        rows = await self._read("list", place)
        jobs = [read_job(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(jobs, (jobs[-1].created_at, jobs[-1].id) if more else None)

    async def next_owner(self, after: UserId) -> UserId | None:
        (row,) = await self._read("next_owner", {"after": after})
        return UserId(row["user_id"]) if row["user_id"] else None

    async def cancel(self, job_id: JobId) -> Job:
        job = await self._db.transact(lambda conn: self._moves.cancel(conn, job_id))
        self._doorbell.ring("cancel" if job.state is JobState.RUNNING else "work")
        return job

    async def hasten(self, job_id: JobId) -> Job:
        job = await self._db.transact(lambda conn: self._moves.hasten(conn, job_id))
        self._ring_for(job)
        return job

    async def claim(self, worker_id: WorkerId, free: Mapping[str, int], *, limit: int) -> list[Job]:
        return await self._db.transact(
            lambda conn: self._moves.claim(conn, worker_id, free, limit),
            durable=False,  # a claim that a power failure undoes was the claim of a dead worker
        )

    async def register(self, worker_id: WorkerId, *, lease_seconds: float) -> None:
        await self._write("register", {"id": worker_id, "lease_until": self._after(lease_seconds)})

    async def beat(self, worker_id: WorkerId, *, lease_seconds: float) -> Beat:
        until = self._after(lease_seconds)
        return await self._db.transact(lambda conn: self._moves.beat(conn, worker_id, until), durable=False)

    async def record(self, fence: Fence, attempts: Sequence[Attempt]) -> None:
        await self._db.transact(lambda conn: self._moves.record(conn, fence, attempts))

    async def finish(self, fence: Fence, outcome: Outcome) -> Job:
        result = encode(outcome.result)
        return await self._ending(
            lambda conn: self._moves.finish(conn, fence, result=result, effects=outcome.effects)
        )

    async def fail(self, fence: Fence, failure: Failure, *, retry_after: float | None = None) -> Job:
        return await self._leaving(fence, leaving.fail(failure, self._backoff, retry_after=retry_after))

    async def release(self, fence: Fence) -> Job:
        return await self._leaving(fence, leaving.release)

    async def stop(self, fence: Fence) -> Job:
        return await self._leaving(fence, leaving.stop)

    async def bury(self) -> None:
        await self._write("bury", {"now": self._db.now_us()})

    async def tend(self) -> list[Job]:
        moved, rescued = await self._db.transact(self._moves.tend)
        if moved:
            self._doorbell.ring("work")
        return tell_rescues(rescued)

    async def next_due(self) -> float | None:
        rows = await self._read("next_due", {})
        return seconds(rows[0]["run_at"])

    async def retire(self, worker_id: WorkerId) -> None:
        await self._write("retire", {"id": worker_id})

    async def unsettled(self, *, older_than: float, limit: int = 100) -> list[Job]:
        rows = await self._read("unsettled", {"before": self._after(-older_than), "limit": limit})
        return [read_job(row) for row in rows]

    async def amend(self, job_id: JobId, attempts: Sequence[Attempt]) -> Job:
        await self._write("amend", {"id": job_id, "attempts": encode(attempts)})
        return await self.get(job_id)

    async def settle(self, job_id: JobId) -> None:
        await self._write("settle", {"id": job_id})

    async def prune(self, *, older_than: float, limit: int = BATCH) -> int:
        return len(await self._write("prune", {"before": self._after(-older_than), "limit": limit}))

    async def forget(self, user_id: UserId, *, limit: int = BATCH) -> int:
        return len(await self._write("forget", {"user_id": user_id, "limit": limit}))

    async def depth(self) -> list[Depth]:
        rows = await self._read("depth", {})
        return [_depth(kind, rows, self._db.now_us()) for kind in sorted({row["kind"] for row in rows})]

    def _after(self, seconds: float) -> int:
        return self._db.now_us() + round(seconds * 1e6)

    async def _read(self, name: str, params: Params) -> list[JobRow]:
        return await self._db.read(lambda conn: conn.execute(SQL[name], params).fetchall())

    async def _write(self, name: str, params: Params) -> list[Row]:
        return await self._db.transact(lambda conn: conn.execute(SQL[name], params).fetchall())

    async def _leaving(self, fence: Fence, decide: leaving.Decide) -> Job:
        return await self._ending(lambda conn: self._moves.leave(conn, fence, decide))

    async def _ending(self, change: Callable[[Connection], Job]) -> Job:
        """Run a change that frees a slot, and let the next of that user's jobs into it."""

        def work(conn: Connection) -> tuple[Job, bool]:
            job = change(conn)
            return job, self._moves.promote(conn, kind=job.kind, user_id=job.user_id)

        job, promoted = await self._db.transact(work)
        if promoted:
            self._doorbell.ring("work")
        self._ring_for(job)
        return job

    def _ring_for(self, job: Job) -> None:
        if job.state is JobState.AVAILABLE:
            self._doorbell.ring("work")
        elif job.state is JobState.SCHEDULED:
            self._doorbell.ring("schedule")


def _depth(kind: str, rows: Sequence[JobRow], now: int) -> Depth:
    states = {row["state"]: row["jobs"] for row in rows if row["kind"] == kind}
    oldest = [row["oldest"] for row in rows if row["kind"] == kind and row["oldest"] is not None]
    return Depth(kind, states, max(((now - ord_) / 1e6 for ord_ in oldest), default=0.0))
