"""How runs end on a SQL server: ends that arrive together are one write, each alone under its fence.

A write whose answer was lost is read back: a job that left at the attempt of our fence, the way we
wanted, left by us, for nobody else can show that fence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from media_pipeline.db.database import DatabaseUnavailable, Effect
from media_pipeline.db.group import Group
from media_pipeline.db.postgres import Columns
from media_pipeline.db.retry import OutcomeUnknown
from media_pipeline.db.session import Session, Values
from media_pipeline.queue.job import Fence, Job, JobState
from media_pipeline.queue.leaving import Decide, Leaving
from media_pipeline.queue.postgres_table import SQL, Owner, Table, by_fence, fence_columns, lease_lost
from media_pipeline.queue.records import JobRow, read_finished, read_job

Answers = list[Job | Exception]


class _Finish(NamedTuple):
    fence: Fence
    result: str
    effects: Sequence[Effect]
    claimed: Job | None


class _Leave(NamedTuple):
    fence: Fence
    decide: Decide


class Ends:
    """Finish runs, or let them leave without a result."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._finishes: Group[_Finish, Job] = Group(self._finish)
        self._leaves: Group[_Leave, Job] = Group(self._leave)
        self._rooms: Group[Owner, None] = Group(self._fill)
        self._freed: Counter[Owner] = Counter()

    async def finish(
        self, fence: Fence, result: str, effects: Sequence[Effect], *, claimed: Job | None
    ) -> Job:
        """End a run with its result; who has the job as it was `claimed` saves reading it again."""
        job = await self._finishes.join(_Finish(fence, result, effects, claimed))
        await self._give_on(job)  # meanwhile the next ends are being written
        return job

    async def leave(self, fence: Fence, decide: Decide) -> Job:
        job = await self._leaves.join(_Leave(fence, decide))
        if job.state is not JobState.AVAILABLE:
            await self._give_on(job)
        return job

    async def leave_all(self, fences: Iterable[Fence], decide: Decide) -> list[Job]:
        """Let every run leave whose fence still holds; return how their jobs stand."""
        left = await self._leave([_Leave(fence, decide) for fence in fences])
        jobs = [job for job in left if isinstance(job, Job)]
        await self._fill([(job.kind, job.user_id) for job in jobs if job.state is not JobState.AVAILABLE])
        return jobs

    async def fill(self) -> None:
        """Give on at once what was kept back: a claim found too little."""
        freed, self._freed = list(self._freed), Counter()
        await self._table.promote(freed)

    def forget_freed(self) -> None:
        """Forget what was kept back: all windows are about to be filled."""
        self._freed.clear()

    async def _give_on(self, job: Job) -> None:
        """Give the place of a job on to the next of its user: in a wide window by the handful.

        Each time costs a count of the whole window, and while claims find all they ask for, nobody waits
        for it.
        """
        owner = (job.kind, job.user_id)
        self._freed[owner] += 1
        if self._freed[owner] >= self._table.handful(job.kind):
            del self._freed[owner]
            await self._rooms.join(owner)

    async def _fill(self, owners: Sequence[Owner]) -> list[None]:
        await self._table.promote(owners)
        return [None] * len(owners)

    async def _finish(self, asked: Sequence[_Finish]) -> Answers:
        finishes = {ask.fence: ask for ask in reversed(asked)}
        try:
            rows = await self._write_finishes(list(finishes.values()))
        except OutcomeUnknown:
            rows = await self._write_finishes(list(finishes.values()))
            rows |= await self._read_back(dict.fromkeys(finishes.keys() - rows.keys(), JobState.SUCCEEDED))
        jobs = await self._read_jobs([finishes[fence] for fence in rows], rows)
        return self._conclude(asked, [finishes[ask.fence] is ask for ask in asked], jobs)

    async def _read_jobs(self, asked: Sequence[_Finish], rows: Mapping[Fence, JobRow]) -> dict[Fence, Job]:
        """Return the finished jobs; those that were claimed elsewhere are read."""
        unknown = {ask.fence: JobState.SUCCEEDED for ask in asked if ask.claimed is None}
        read = await self._read_back(unknown) if unknown else {}
        jobs = {fence: read_job(row) for fence, row in read.items()}
        known = ((ask.fence, ask.claimed, ask.result) for ask in asked if ask.claimed is not None)
        return jobs | {fence: read_finished(job, rows[fence], result) for fence, job, result in known}

    async def _write_finishes(self, asked: Sequence[_Finish]) -> dict[Fence, JobRow]:
        params: Columns = {
            **fence_columns([ask.fence for ask in asked]),
            "results": [ask.result for ask in asked],
        }
        if not any(ask.effects for ask in asked):
            return by_fence(await self._table.write("finish", params))
        try:
            return await self._table.db.transact(lambda session: self._finish_at_once(session, asked, params))
        except DatabaseUnavailable:
            raise
        except Exception:  # noqa: BLE001 - somebody's effect, perhaps of a run that is not the newest
            return await self._table.db.transact(lambda session: self._finish_newest(session, asked, params))

    async def _finish_at_once(
        self, session: Session, asked: Sequence[_Finish], params: Columns
    ) -> dict[Fence, JobRow]:
        """Finish and run all effects in one go, which only holds when every fence does."""
        effects = self._bind_effects(asked)
        done, *_ = await session.burst([self._table.db.bind(SQL["finish"], params), *effects])
        rows = by_fence(done)
        if len(rows) < len(asked):
            raise lease_lost()
        return rows

    async def _finish_newest(
        self, session: Session, asked: Sequence[_Finish], params: Columns
    ) -> dict[Fence, JobRow]:
        """Finish, and run the effects of those that were finished."""
        rows = by_fence(await session.rows(*self._table.db.bind(SQL["finish"], params)))
        await session.burst(self._bind_effects([ask for ask in asked if ask.fence in rows]))
        return rows

    def _bind_effects(self, asked: Sequence[_Finish]) -> list[tuple[str, Values]]:
        return self._table.db.bind_all(_by_statement([effect for ask in asked for effect in ask.effects]))

    async def _leave(self, asked: Sequence[_Leave]) -> Answers:
        leaves = {ask.fence: ask for ask in reversed(asked)}
        rows: dict[Fence, JobRow] = {}
        left = leaves
        while left:
            read = by_fence(await self._table.read("running", fence_columns(list(left))))
            rows |= await self._write_leaves({fence: left[fence] for fence in read}, read)
            left = {fence: left[fence] for fence in read if fence not in rows}  # it changed since we read it
        jobs = {fence: read_job(row) for fence, row in rows.items()}
        return self._conclude(asked, [leaves[ask.fence] is ask for ask in asked], jobs)

    async def _write_leaves(
        self, asked: Mapping[Fence, _Leave], read: Mapping[Fence, JobRow]
    ) -> dict[Fence, JobRow]:
        """Write what is decided over the rows as they were read; one that changed since is left out."""
        if not asked:
            return {}
        leavings = {fence: ask.decide(read[fence]) for fence, ask in asked.items()}
        params: Columns = {
            **fence_columns(list(leavings)),
            **_leaving_columns(list(leavings.values())),
            "cancelled": [read[fence]["cancel_requested"] for fence in leavings],
        }
        try:
            return by_fence(await self._table.write("leave", params))
        except OutcomeUnknown:
            return await self._read_back({fence: leaving.state for fence, leaving in leavings.items()})

    async def _read_back(self, states: Mapping[Fence, JobState]) -> dict[Fence, JobRow]:
        """Return the rows that stand as a write of ours that lost its answer would have left them."""
        read = await self._table.read("get_all", {"ids": [fence.job_id for fence in states]})
        rows = {(row["id"], row["attempt"], row["state"]): row for row in read}
        places = {fence: (fence.job_id, fence.attempt, state.value) for fence, state in states.items()}
        return {fence: rows[place] for fence, place in places.items() if place in rows}

    def _conclude(
        self, asked: Sequence[_Finish | _Leave], counts: Sequence[bool], jobs: Mapping[Fence, Job]
    ) -> Answers:
        """Ring and answer; of two asks for one run the first is the one that counts."""
        states = {job.state for job in jobs.values()}
        if JobState.AVAILABLE in states:
            self._table.doorbell.ring("work")
        if JobState.SCHEDULED in states:
            self._table.doorbell.ring("schedule")
        return [
            jobs[ask.fence] if first and ask.fence in jobs else lease_lost()
            for ask, first in zip(asked, counts, strict=True)
        ]


def _by_statement(effects: Sequence[Effect]) -> list[Effect]:
    """Put the same statements beside each other, in the order in which each run asks for its own."""
    places = {effect.statement: place for place, effect in reversed(list(enumerate(effects)))}
    return sorted(effects, key=lambda effect: places[effect.statement])


def _leaving_columns(leavings: Sequence[Leaving]) -> Columns:
    def column(pick: Callable[[Leaving], str | int | None]) -> list[str | int | None]:
        return [pick(leaving) for leaving in leavings]

    return {
        "states": column(lambda leaving: leaving.state.value),
        "errors": column(lambda leaving: leaving.error),
        "failures": column(lambda leaving: leaving.failures),
        "crashes": column(lambda leaving: leaving.crashes),
        "run_ats": column(lambda leaving: leaving.run_at),
        "behinds": column(lambda leaving: leaving.behind),
    }
