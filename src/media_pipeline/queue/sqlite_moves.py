"""What each of the queue's methods does inside its transaction in SQLite.

Every statement re-checks the state it leaves (and the fence, where there is one), so a move happens
once or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from media_pipeline.db.database import Effect, Params, Value
from media_pipeline.db.sqlite import Connection, apply_effects
from media_pipeline.db.statements import load_statements
from media_pipeline.ids import JobId
from media_pipeline.queue.job import Attempt, Fence, Job, JobState, NewJob, Priority, WorkerId
from media_pipeline.queue.leaving import (
    UNDECODABLE,
    Decide,
    crash,
    is_suspect,
    pick_crowded,
    set_aside,
    step_aside,
)
from media_pipeline.queue.queue import (
    Beat,
    Enqueued,
    JobEnded,
    JobNotFound,
    LeaseLost,
)
from media_pipeline.queue.records import KEY_LIFE_US, JobRow, check_repeated, encode, read_claimed, read_job

BATCH: Final = 500
SQL: Final[Mapping[str, str]] = {
    name: statement.text
    for name, statement in load_statements("media_pipeline.queue", "sql/sqlite.sql").items()
}


@dataclass(frozen=True, slots=True)
class Moves:
    """The moves of jobs between their states; `now_us` never repeats."""

    now_us: Callable[[], int]
    window: Callable[[str], int]

    def enqueue(self, conn: Connection, new: NewJob) -> Enqueued:
        now = self.now_us()
        first = _find_by_key(conn, new, now)
        if first is not None:
            return Enqueued(first, created=False)
        due = None if new.run_at is None else round(new.run_at * 1_000_000)
        run_at = due if due is not None and due > now else None
        state = JobState.SCHEDULED if run_at else self._place(conn, kind=new.kind, user_id=new.user_id)
        params: Params = {
            "id": new.id,
            "user_id": new.user_id,
            "active_user": new.user_id if state is JobState.AVAILABLE else None,
            "kind": new.kind,
            "state": state,
            "lane": int(new.priority),
            "now": now,
            "run_at": run_at,
            "payload": encode(new.payload),
            "max_failures": new.max_failures,
            "idempotency_key": new.idempotency_key,
            "request_hash": new.request_hash,
            "retry_of": new.retry_of,
            "trace": new.trace,
        }
        return Enqueued(read_job(conn.execute(SQL["insert"], params).fetchone()), created=True)

    def claim(self, conn: Connection, worker_id: WorkerId, free: Mapping[str, int], limit: int) -> list[Job]:
        now = self.now_us()
        if conn.execute(SQL["alive"], {"id": worker_id, "now": now}).fetchone() is None:
            raise LeaseLost("This worker's lease ran out; what it took now would be given away at once.")
        claimed: list[JobRow] = []
        for lane in Priority:
            for kind, slots in free.items():
                room = min(slots - sum(row["kind"] == kind for row in claimed), limit - len(claimed))
                if room > 0:
                    wanted = {"worker_id": worker_id, "now": now, "kind": kind, "lane": lane, "limit": room}
                    claimed += conn.execute(SQL["claim"], wanted).fetchall()
        ordered = self._keep_apart(conn, sorted(claimed, key=lambda row: (row["lane"], row["ord"])))
        return [job for row in ordered if (job := self._read_claimed(conn, row)) is not None]

    def beat(self, conn: Connection, worker_id: WorkerId, until: int) -> Beat:
        if conn.execute(SQL["beat"], {"id": worker_id, "lease_until": until}).fetchone() is None:
            raise LeaseLost("This worker's lease ran out and its jobs were given away.")
        rows = conn.execute(SQL["cancel_requests"], {"worker_id": worker_id}).fetchall()
        return Beat(frozenset(JobId(row["id"]) for row in rows))

    def record(self, conn: Connection, fence: Fence, attempts: Sequence[Attempt]) -> None:
        _fenced(conn, "record", fence, {"attempts": encode(attempts)})

    def cancel(self, conn: Connection, job_id: JobId) -> Job:
        waiting = conn.execute(SQL["cancel_waiting"], {"id": job_id, "now": self.now_us()}).fetchone()
        if waiting is not None:
            self.promote(conn, kind=waiting["kind"], user_id=waiting["user_id"])
            return read_job(waiting)
        running = conn.execute(SQL["cancel_running"], {"id": job_id}).fetchone()
        if running is not None:
            return read_job(running)
        job = get_job(conn, job_id)
        raise JobEnded(f"The job has ended: it is {job.state}.")

    def hasten(self, conn: Connection, job_id: JobId) -> Job:
        job = get_job(conn, job_id)
        self._admit(conn, job_id, kind=job.kind, user_id=job.user_id, ord_=self.now_us())
        return get_job(conn, job_id)

    def finish(self, conn: Connection, fence: Fence, *, result: str, effects: Sequence[Effect]) -> Job:
        row = _fenced(conn, "finish", fence, {"result": result, "now": self.now_us()})
        apply_effects(conn, effects)
        return read_job(row)

    def leave(self, conn: Connection, fence: Fence, decide: Decide) -> Job:
        """End a run without a result, as `decide` says of its row."""
        now = self.now_us()
        leaving = decide({**_fenced(conn, "running", fence), "now": now})
        return read_job(_fenced(conn, "leave", fence, {**asdict(leaving), "now": now}))

    def tend(self, conn: Connection) -> tuple[bool, list[Job]]:
        """Return whether anything may be claimed now that could not before, and what was rescued."""
        rescued = [
            self.leave(conn, read_job(row).fence, crash) for row in conn.execute(SQL["abandoned"]).fetchall()
        ]
        blocked = conn.execute(SQL["blocked_users"]).fetchall()
        promoted = [self.promote(conn, kind=row["kind"], user_id=row["user_id"]) for row in blocked]
        admitted = [
            self._admit(conn, row["id"], kind=row["kind"], user_id=row["user_id"], ord_=row["run_at"])
            for row in conn.execute(SQL["due"], {"now": self.now_us(), "limit": BATCH}).fetchall()
        ]
        moved = bool(rescued) or any(promoted) or any(admitted)
        return moved, rescued

    def promote(self, conn: Connection, *, kind: str, user_id: str) -> bool:
        user: Params = {"kind": kind, "user_id": user_id}
        if conn.execute(SQL["is_blocked"], user).fetchone() is None:
            return False
        params = {**user, "window": self.window(kind), "now": self.now_us()}
        return bool(conn.execute(SQL["promote"], params).fetchall())

    def _admit(self, conn: Connection, job_id: JobId, *, kind: str, user_id: str, ord_: int) -> bool:
        """Let a scheduled job wait its turn from `ord_` on; tell whether it may be claimed now."""
        state = self._place(conn, kind=kind, user_id=user_id)
        available = state is JobState.AVAILABLE
        place: Params = {"state": state, "active_user": user_id if available else None, "ord": ord_}
        conn.execute(SQL["admit"], {"id": job_id, **place})
        return available

    def _place(self, conn: Connection, *, kind: str, user_id: str) -> JobState:
        """Return where a user's next job of a kind waits: in the window's room, or for it."""
        window = self.window(kind)
        user: Params = {"kind": kind, "user_id": user_id, "window": window}
        in_play = conn.execute(SQL["in_play"], user).fetchone()["jobs"]
        return JobState.AVAILABLE if in_play < window else JobState.BLOCKED

    def _keep_apart(self, conn: Connection, claimed: Sequence[JobRow]) -> list[JobRow]:
        """Return what a worker may run of what it claimed; suspects beside another try again later."""
        if not any(is_suspect(row) for row in claimed):
            return list(claimed)
        held = conn.execute(SQL["held"], {"worker_id": claimed[0]["worker_id"]}).fetchall()
        crowded = pick_crowded(claimed, held)
        for row in crowded:
            self._send_away(conn, row, step_aside)
        return [row for row in claimed if row not in crowded]

    def _send_away(self, conn: Connection, row: JobRow, decide: Decide) -> None:
        left = self.leave(conn, read_job(row).fence, decide)
        self.promote(conn, kind=left.kind, user_id=left.user_id)

    def _read_claimed(self, conn: Connection, row: JobRow) -> Job | None:
        """Return what was claimed; fail a job that cannot be decoded, so that it never comes back."""
        job = read_claimed(row)
        if job is None:
            self._send_away(conn, row, set_aside(UNDECODABLE))
        return job


def get_job(conn: Connection, job_id: JobId) -> Job:
    """Return a job, or raise `JobNotFound`."""
    row = conn.execute(SQL["get"], {"id": job_id}).fetchone()
    if row is None:
        raise JobNotFound("There is no such job.")
    return read_job(row)


def _fenced(conn: Connection, name: str, fence: Fence, change: Mapping[str, Value] | None = None) -> JobRow:
    """Run a fenced statement; a fence that does not match any more is `LeaseLost`."""
    claim = {"id": fence.job_id, "attempt": fence.attempt, "worker_id": fence.worker_id}
    row: JobRow | None = conn.execute(SQL[name], {**claim, **(change or {})}).fetchone()
    if row is None:
        raise LeaseLost("Another worker owns this job now, or it has ended.")
    return row


def _find_by_key(conn: Connection, new: NewJob, now: int) -> Job | None:
    if new.idempotency_key is None:
        return None
    params = {"user_id": new.user_id, "idempotency_key": new.idempotency_key}
    row = conn.execute(SQL["find_key"], params).fetchone()
    if row is None:
        return None
    if row["created_at"] <= now - KEY_LIFE_US:
        conn.execute(SQL["forget_key"], {"id": row["id"]})
        return None
    check_repeated(row, new.request_hash)
    return read_job(row)
