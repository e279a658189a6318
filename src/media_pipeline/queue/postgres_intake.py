"""Taking jobs in: enqueues that arrive together are one INSERT.

A job's id is made by whoever asks, so an INSERT whose answer was lost is simply sent again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from media_pipeline.db.group import Group
from media_pipeline.db.postgres import Columns
from media_pipeline.ids import UserId
from media_pipeline.queue.job import Job, JobState, NewJob
from media_pipeline.queue.postgres_table import Table
from media_pipeline.queue.queue import Enqueued, IdempotencyConflict
from media_pipeline.queue.records import KEY_LIFE_US, JobRow, check_repeated, encode, read_job, read_new


class Intake:
    """Enqueue jobs, each once however often it is asked for."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._group: Group[NewJob, Enqueued] = Group(self._take_in)

    def enqueue(self, new: NewJob) -> Awaitable[Enqueued]:
        return self._group.join(new)

    async def find(self, user_id: UserId, key: str, request_hash: str | None) -> Job | None:
        params: Columns = {"ids": [], "user_ids": [user_id], "keys": [key]}
        for row in await self._table.read("known", params):
            if not _is_over(row):
                check_repeated(row, request_hash)
                return read_job(row)
        return None

    async def _take_in(self, asked: Sequence[NewJob]) -> list[Enqueued | Exception]:
        answers: dict[int, Enqueued | Exception] = {}
        left = dict(enumerate(asked))
        while left:  # twice when a key's time was over, or its job went away while we looked
            rows = {row["id"]: row for row in await self._insert(list(left.values()))}
            known = await self._known([new for new in left.values() if new.id not in rows])
            ids = {new.id for new in left.values()}
            await self._ring([*rows.values(), *(row for row in known if row["id"] in ids)])
            for place, new in list(left.items()):
                answer = _answer(new, rows.get(new.id), known)
                if answer is not None:
                    answers[place] = answer
                    del left[place]
        return [answers[place] for place in range(len(asked))]

    async def _insert(self, new: Sequence[NewJob]) -> list[JobRow]:
        window = self._table.window
        if len(new) == 1:
            one: Columns = {**_columns(new[0]), "most": window(new[0].kind)}
            return await self._table.write("insert_one", one, repeatable=True)
        rows = [_columns(job) for job in new]
        windows = [window(job.kind) for job in new]
        many: Columns = {
            **{f"{name}s": [row[name] for row in rows] for name in rows[0]},
            "windows": windows,
            "most": max(windows),
        }
        return await self._table.write("insert", many, repeatable=True)

    async def _ring(self, rows: Sequence[JobRow]) -> None:
        states = {row["state"] for row in rows}
        if JobState.AVAILABLE in states:
            self._table.doorbell.ring("work")
        if JobState.SCHEDULED in states:
            self._table.doorbell.ring("schedule")
        blocked = [row for row in rows if row["state"] == JobState.BLOCKED]
        await self._table.promote((row["kind"], row["user_id"]) for row in blocked)

    async def _known(self, asked: Sequence[NewJob]) -> list[JobRow]:
        """Return what stands there already, having freed the keys whose time is over."""
        if not asked:
            return []
        keyed = [new for new in asked if new.idempotency_key is not None]
        params: Columns = {
            "ids": [new.id for new in asked],
            "user_ids": [new.user_id for new in keyed],
            "keys": [new.idempotency_key for new in keyed],
        }
        rows = await self._table.read("known", params)
        ids = {new.id for new in asked}
        over = [row for row in rows if row["id"] not in ids and _is_over(row)]
        if over:
            before = max(row["created_at"] for row in over)
            forget: Columns = {"ids": [row["id"] for row in over], "before": before}
            await self._table.write("forget_keys", forget, repeatable=True)
        return [row for row in rows if row not in over]


def _columns(new: NewJob) -> dict[str, str | int | None]:
    return {
        "id": new.id,
        "user_id": new.user_id,
        "kind": new.kind,
        "lane": int(new.priority),
        "run_at": None if new.run_at is None else round(new.run_at * 1_000_000),
        "payload": encode(new.payload),
        "failure_limit": new.max_failures,
        "key": new.idempotency_key,
        "digest": new.request_hash,
        "original": new.retry_of,
        "trace": new.trace,
    }


def _is_over(row: JobRow) -> bool:
    return bool(row["created_at"] <= row["now"] - KEY_LIFE_US)


def _match(new: NewJob, known: Sequence[JobRow]) -> JobRow | None:
    def is_its(row: JobRow) -> bool:
        keyed = new.idempotency_key is not None and row["idempotency_key"] == new.idempotency_key
        return bool(row["id"] == new.id or (keyed and row["user_id"] == new.user_id))

    return next(filter(is_its, known), None)


def _answer(
    new: NewJob, kept: JobRow | None, known: Sequence[JobRow]
) -> Enqueued | IdempotencyConflict | None:
    """Answer with the job that was kept or with the one that is known; None when there is neither."""
    if kept is not None:
        return Enqueued(read_new(new, kept), created=True)
    row = _match(new, known)
    if row is None:
        return None
    try:
        check_repeated(row, new.request_hash)
    except IdempotencyConflict as conflict:
        return conflict
    return Enqueued(read_job(row), created=row["id"] == new.id)
