"""The queue on PostgreSQL or CockroachDB: any number of processes, and no lock that must be held.

Every write re-checks the state it leaves and, where there is one, the fence; row locks only keep
claimers out of each other's way. Leases and schedules compare with the database's clock alone.
Not guaranteed: that a user's window is never passed while several processes admit at once and the
database runs at READ COMMITTED; it is then by as many jobs as there are processes, and passes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from media_pipeline.clock import Clock
from media_pipeline.db.group import Group
from media_pipeline.db.postgres import Columns, PostgresDatabase
from media_pipeline.db.retry import OutcomeUnknown
from media_pipeline.ids import JobId, UserId
from media_pipeline.queue import leaving
from media_pipeline.queue.backoff import Backoff
from media_pipeline.queue.job import Attempt, Failure, Fence, Job, JobState, NewJob, WorkerId
from media_pipeline.queue.postgres_claims import Claims
from media_pipeline.queue.postgres_ends import Ends
from media_pipeline.queue.postgres_intake import Intake
from media_pipeline.queue.postgres_table import Table, by_fence, fence_columns, lease_lost
from media_pipeline.queue.queue import Beat, Depth, Doorbell, Enqueued, JobEnded, JobNotFound, Outcome, Page
from media_pipeline.queue.records import JobRow, encode, read_job, seconds
from media_pipeline.queue.rescuer import tell_rescues

FAR_FUTURE: Final = 1 << 62
BATCH: Final = 500


class PostgresQueue:
    """The `Queue` of many processes. `window` is how many of a user's jobs of a kind may be in play.

    A window as wide as the fleet's slots keeps every slot busy and no user waiting behind another's
    backlog. `skip_locked=False` claims by the re-check alone, where a server's row locks are dear.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        doorbell: Doorbell,
        *,
        window: Callable[[str], int] = lambda _kind: 4,
        backoff: Backoff | None = None,
        skip_locked: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._doorbell = doorbell
        self._backoff = backoff or Backoff()
        self._table = Table(database, doorbell, window)
        self._intake = Intake(self._table)
        self._ends = Ends(self._table)
        self._claims = Claims(self._table, self._ends, skip_locked=skip_locked, clock=clock)
        self._records: Group[tuple[Fence, str], None] = Group(self._record)
        self._settles: Group[JobId, None] = Group(self._settle)

    async def open(self) -> None:
        """Take nothing over: other processes may be at work."""

    async def enqueue(self, new: NewJob) -> Enqueued:
        return await self._intake.enqueue(new)

    async def get(self, job_id: JobId) -> Job:
        return read_job(await self._get(job_id))

    async def find(self, user_id: UserId, idempotency_key: str, request_hash: str | None) -> Job | None:
        return await self._intake.find(user_id, idempotency_key, request_hash)

    async def list_jobs(
        self, user_id: UserId, *, after: tuple[float, JobId] | None = None, limit: int = 50
    ) -> Page:
        created_at, job_id = (round(after[0] * 1e6), after[1]) if after else (FAR_FUTURE, JobId(""))
        place: Columns = {"user_id": user_id, "created_at": created_at, "id": job_id, "limit": limit + 1}
        rows = await self._table.read("list", place)
        jobs = [read_job(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(jobs, (jobs[-1].created_at, jobs[-1].id) if more else None)

    async def next_owner(self, after: UserId) -> UserId | None:
        (row,) = await self._table.read("next_owner", {"after": after})
        return UserId(row["user_id"]) if row["user_id"] else None

    async def cancel(self, job_id: JobId) -> Job:
        job = await self._cancel(job_id)
        if job.state is JobState.RUNNING:
            self._doorbell.ring("cancel")
        elif not await self._table.promote([(job.kind, job.user_id)]):
            self._doorbell.ring("work")
        return job

    async def hasten(self, job_id: JobId) -> Job:
        await self._table.write("hasten", {"id": job_id}, repeatable=True)
        job = await self.get(job_id)
        if job.state is not JobState.BLOCKED:
            return job
        await self._table.promote([(job.kind, job.user_id)])
        return await self.get(job_id)

    def claim(self, worker_id: WorkerId, free: Mapping[str, int], *, limit: int) -> Awaitable[list[Job]]:
        return self._claims.claim(worker_id, free, limit)

    async def register(self, worker_id: WorkerId, *, lease_seconds: float) -> None:
        lease: Columns = {"id": worker_id, "lease": round(lease_seconds * 1_000_000)}
        await self._table.write("register", lease, repeatable=True)

    async def beat(self, worker_id: WorkerId, *, lease_seconds: float) -> Beat:
        return await self._claims.beat(worker_id, lease_seconds)

    async def record(self, fence: Fence, attempts: Sequence[Attempt]) -> None:
        await self._records.join((fence, encode(attempts)))

    async def finish(self, fence: Fence, outcome: Outcome) -> Job:
        claimed = self._claims.recall(fence)
        job = await self._ends.finish(fence, encode(outcome.result), outcome.effects, claimed=claimed)
        self._claims.drop(fence)
        return job

    async def fail(self, fence: Fence, failure: Failure, *, retry_after: float | None = None) -> Job:
        return await self._leave(fence, leaving.fail(failure, self._backoff, retry_after=retry_after))

    async def release(self, fence: Fence) -> Job:
        return await self._leave(fence, leaving.release)

    async def stop(self, fence: Fence) -> Job:
        return await self._leave(fence, leaving.stop)

    async def bury(self) -> None:
        await self._table.write("bury", {}, repeatable=True)

    async def tend(self) -> list[Job]:
        abandoned = await self._table.read("abandoned", {"limit": BATCH})
        rescued = await self._ends.leave_all([read_job(row).fence for row in abandoned], leaving.crash)
        if rescued:
            self._claims.look_back()
        await self._table.write("admit_due", {"limit": BATCH}, repeatable=True)
        self._ends.forget_freed()
        blocked = await self._table.read("blocked_users", {})
        await self._table.promote((row["kind"], row["user_id"]) for row in blocked)
        return tell_rescues(rescued)

    async def next_due(self) -> float | None:
        rows = await self._table.read("next_due", {})
        return seconds(rows[0]["run_at"]) if rows else None

    async def retire(self, worker_id: WorkerId) -> None:
        await self._table.write("retire", {"id": worker_id}, repeatable=True)
        self._claims.forget(worker_id)

    async def unsettled(self, *, older_than: float, limit: int = 100) -> list[Job]:
        rows = await self._table.read("unsettled", {"age": round(older_than * 1e6), "limit": limit})
        return [read_job(row) for row in rows]

    async def amend(self, job_id: JobId, attempts: Sequence[Attempt]) -> Job:
        await self._table.write("amend", {"id": job_id, "attempts": encode(attempts)}, repeatable=True)
        return await self.get(job_id)

    async def settle(self, job_id: JobId) -> None:
        await self._settles.join(job_id)

    async def prune(self, *, older_than: float, limit: int = BATCH) -> int:
        age: Columns = {"age": round(older_than * 1e6), "limit": limit}
        return len(await self._table.write("prune", age, repeatable=True))

    async def forget(self, user_id: UserId, *, limit: int = BATCH) -> int:
        whose: Columns = {"user_id": user_id, "limit": limit}
        return len(await self._table.write("forget", whose, repeatable=True))

    async def depth(self) -> list[Depth]:
        rows = await self._table.read("depth", {})
        return [_depth(kind, rows) for kind in sorted({row["kind"] for row in rows})]

    async def _get(self, job_id: JobId) -> JobRow:
        rows = await self._table.read("get", {"id": job_id})
        if not rows:
            raise JobNotFound("There is no such job.")
        return rows[0]

    async def _cancel(self, job_id: JobId) -> Job:
        """Cancel; when the answer is lost, a job that had not ended before shows whether it was done."""
        before = await self.get(job_id)
        try:
            rows = [] if before.ended else await self._table.write("cancel", {"id": job_id})
        except OutcomeUnknown:
            row = await self._get(job_id)
            rows = [row] if row["cancel_requested"] else await self._table.write("cancel", {"id": job_id})
        if not rows:
            raise JobEnded(f"The job has ended: it is {(await self.get(job_id)).state}.")
        return read_job(rows[0])

    async def _leave(self, fence: Fence, decide: leaving.Decide) -> Job:
        job = await self._ends.leave(fence, decide)
        self._claims.drop(fence)
        if job.state is JobState.AVAILABLE:
            self._claims.look_back()
        return job

    async def _record(self, asked: Sequence[tuple[Fence, str]]) -> list[Exception | None]:
        newest = dict(asked)
        params: Columns = {**fence_columns(list(newest)), "attempts": list(newest.values())}
        recorded = by_fence(await self._table.write("record", params, repeatable=True))
        return [None if fence in recorded else lease_lost() for fence, _ in asked]

    async def _settle(self, job_ids: Sequence[JobId]) -> list[Exception | None]:
        await self._table.write("settle", {"ids": list(job_ids)}, repeatable=True)
        return [None] * len(job_ids)


def _depth(kind: str, rows: Sequence[JobRow]) -> Depth:
    mine = [row for row in rows if row["kind"] == kind]
    waits = [row["wait"] / 1e6 for row in mine if row["wait"] is not None]
    return Depth(kind, {row["state"]: row["jobs"] for row in mine}, max(waits, default=0.0))
