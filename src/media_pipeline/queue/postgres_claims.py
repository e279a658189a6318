"""Claims and heartbeats on a SQL server.

Guarantees: a claim that returns nothing found nothing that another had not taken; what a claim took
and could not tell, because its answer was lost, is told by the next claim or given back by the next
heartbeat. Claims look from a place on, just behind the newest job they took, so that they need not
step over what was taken before; once a `SWEEP` they look from the beginning. Not guaranteed while
claim after claim is filled from one lane, where a look is believed for `RECENT`: that a job of a better
lane, kept by another process, goes first before its ring is heard, or that a lease is seen to have run out.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.db.group import Group
from media_pipeline.db.postgres import Columns
from media_pipeline.db.retry import OutcomeUnknown
from media_pipeline.db.statements import Statement
from media_pipeline.ids import JobId
from media_pipeline.queue import leaving
from media_pipeline.queue.job import Fence, Job, JobState, Priority, WorkerId
from media_pipeline.queue.postgres_ends import Ends
from media_pipeline.queue.postgres_table import SKIP_LOCKED, SQL, Table
from media_pipeline.queue.queue import Beat, LeaseLost
from media_pipeline.queue.records import JobRow, read_claimed, read_job

SWEEP: Final = 1.0
RECENT: Final = 0.02
"""Seconds for which a look is believed again, unless something rings."""
SLACK_US: Final = 1_000_000
"""How late a job may appear behind one that was enqueued after it."""

_LOOKS: Final = 5
Lane = tuple[Priority, str]


@dataclass(slots=True)
class _Claim:
    """A worker's free slots, and what it took into them."""

    worker_id: WorkerId
    free: Mapping[str, int]
    limit: int
    taken: list[JobRow] = field(default_factory=list)

    @property
    def wants_more(self) -> bool:
        return any(self.room(kind) for kind in self.free)

    def room(self, kind: str) -> int:
        of_kind = len([row for row in self.taken if row["kind"] == kind])
        return max(0, min(self.free.get(kind, 0) - of_kind, self.limit - len(self.taken)))


@dataclass(frozen=True, slots=True)
class _Look:
    """Who is alive, and of some kinds the lanes with work, best first, each with the place to look from.

    It is believed `until` then.
    """

    alive: frozenset[WorkerId]
    kinds: frozenset[str]
    lanes: Mapping[Lane, int]
    until: float


class Claims:
    """Hand jobs to the workers of this process, and keep their leases."""

    def __init__(
        self, table: Table, ends: Ends, *, skip_locked: bool = True, clock: Clock | None = None
    ) -> None:
        self._table = table
        self._ends = ends
        self._clock = clock or SystemClock()
        text = SQL["claim"].text
        self._claim_sql = Statement("claim", text if skip_locked else text.replace(SKIP_LOCKED, ""))
        self._claims: Group[_Claim, list[Job]] = Group(self._claim)
        self._beats: Group[tuple[WorkerId, float], Beat] = Group(self._beat)
        self._turn = asyncio.Lock()
        self._held: defaultdict[WorkerId, dict[tuple[JobId, int], Job | None]] = defaultdict(dict)
        self._doubtful: set[WorkerId] = set()
        self._places: Counter[Lane] = Counter()
        self._swept = float("-inf")
        self._seen: _Look | None = None
        self._bell = table.doorbell.listen("work")

    def claim(self, worker_id: WorkerId, free: Mapping[str, int], limit: int) -> Awaitable[list[Job]]:
        return self._claims.join(_Claim(worker_id, free, limit))

    def beat(self, worker_id: WorkerId, lease_seconds: float) -> Awaitable[Beat]:
        return self._beats.join((worker_id, lease_seconds))

    def recall(self, fence: Fence) -> Job | None:
        """Return a job as it was claimed here; None when it was not, or its run is over."""
        return self._held[fence.worker_id].get((fence.job_id, fence.attempt))

    def drop(self, fence: Fence) -> None:
        """Forget a run that is over for its worker."""
        self._held[fence.worker_id].pop((fence.job_id, fence.attempt), None)

    def forget(self, worker_id: WorkerId) -> None:
        """Forget a worker."""
        self._held.pop(worker_id, None)
        self._doubtful.discard(worker_id)

    def look_back(self) -> None:
        """Look from the beginning next time: a job went back to an old place."""
        self._swept, self._seen = float("-inf"), None

    async def _claim(self, asked: Sequence[_Claim]) -> list[list[Job] | Exception]:
        try:
            return await self._fill(asked)
        except BaseException:
            self._take_back(asked)
            raise

    async def _fill(self, asked: Sequence[_Claim]) -> list[list[Job] | Exception]:
        async with self._turn:
            doubtful = [claim for claim in asked if claim.worker_id in self._doubtful]
            self._hand_out(doubtful, await self._find_lost(doubtful))
            alive = await self._take(asked)
        self._take_back([claim for claim in asked if claim.worker_id not in alive])
        if any(claim.wants_more for claim in asked):
            await self._ends.fill()
        await self._keep_apart(asked)
        return [
            await self._readable(claim.taken)
            if claim.worker_id in alive
            else LeaseLost("This worker's lease ran out; what it took now would be given away at once.")
            for claim in asked
        ]

    async def _take(self, asked: Sequence[_Claim]) -> frozenset[WorkerId]:
        """Fill the claims; return which workers are alive."""
        for _ in range(_LOOKS):
            recent = self._recent_look(asked)
            look = recent or await self._look(asked)
            claims = [claim for claim in asked if claim.worker_id in look.alive]
            for lane, place in look.lanes.items():
                await self._take_lane(claims, lane, place=place)
            filled = not any(claim.wants_more for claim in claims)
            if filled and len(look.lanes) == 1:
                self._seen = look
            if filled or not look.lanes or (recent is None and any(claim.taken for claim in claims)):
                break
        return look.alive

    def _recent_look(self, asked: Sequence[_Claim]) -> _Look | None:
        """Return the last look where another would show the same: one lane with work, and no news."""
        seen, self._seen = self._seen, None
        news = self._bell.heard()
        if seen is None or news or self._clock.monotonic() >= seen.until:
            return None
        if not seen.alive.issuperset(claim.worker_id for claim in asked):
            return None
        if not seen.kinds.issuperset(kind for claim in asked for kind in claim.free):
            return None
        return replace(seen, lanes={lane: self._place(lane) for lane in seen.lanes})

    async def _look(self, asked: Sequence[_Claim]) -> _Look:
        now = self._clock.monotonic()
        sweep = now - self._swept >= SWEEP
        kinds = dict.fromkeys(kind for claim in asked for kind in claim.free)
        lanes = [(lane, kind) for lane in Priority for kind in kinds]
        places = {lane: 0 if sweep else self._place(lane) for lane in lanes}
        params: Columns = {
            "worker_ids": [claim.worker_id for claim in asked],
            "kinds": [kind for _, kind in lanes],
            "lanes": [int(lane) for lane, _ in lanes],
            "places": list(places.values()),
        }
        rows = await self._table.read("look", params)
        if sweep:
            self._swept = now
        alive = {WorkerId(row["worker_id"]) for row in rows if row["worker_id"] is not None}
        found = {(row["lane"], row["kind"]) for row in rows}
        with_work = {lane: places[lane] for lane in lanes if lane in found}
        return _Look(frozenset(alive), frozenset(kinds), with_work, now + RECENT)

    def _place(self, lane: Lane) -> int:
        return self._places[lane] - SLACK_US

    async def _take_lane(self, claims: Sequence[_Claim], lane: Lane, *, place: int) -> None:
        priority, kind = lane
        slots = [claim.worker_id for claim in claims for _ in range(claim.room(kind))]
        if not slots:
            return
        params: Columns = {
            "kind": kind,
            "lane": int(priority),
            "place": place,
            "limit": len(slots),
            "slots": slots,
            "available": JobState.AVAILABLE.value,
        }
        try:
            rows: list[JobRow] = list(await self._table.db.write(self._claim_sql, params, quick=True))
        except OutcomeUnknown:
            self._doubtful.update(slots)
            rows = await self._find_lost(claims)
        self._places[lane] = max([self._places[lane], *(row["ord"] for row in rows)])
        self._hand_out(claims, rows)

    def _hand_out(self, claims: Sequence[_Claim], rows: Sequence[JobRow]) -> None:
        claim_of = {claim.worker_id: claim for claim in claims}
        for row in rows:
            self._held[row["worker_id"]][row["id"], row["attempt"]] = read_claimed(row)
            claim_of[row["worker_id"]].taken.append(row)

    async def _find_lost(self, claims: Sequence[_Claim]) -> list[JobRow]:
        """Return runs of workers that they were never told of."""
        worker_ids = [claim.worker_id for claim in claims]
        rows = await self._table.read("held", {"worker_ids": worker_ids}) if claims else []
        self._doubtful.difference_update(worker_ids)
        return [row for row in rows if not self._is_told(row)]

    def _is_told(self, row: JobRow) -> bool:
        return (row["id"], row["attempt"]) in self._held[row["worker_id"]]

    def _take_back(self, claims: Sequence[_Claim]) -> None:
        """Forget what could not be told after all; the next claim or heartbeat finds it."""
        for claim in claims:
            for row in claim.taken:
                self.drop(_fence(row))
                self._doubtful.add(claim.worker_id)
            claim.taken = []

    async def _keep_apart(self, claims: Sequence[_Claim]) -> None:
        """Let a worker run one suspect at a time; those beside another try again later."""
        crowds = {row["worker_id"] for claim in claims for row in claim.taken if leaving.is_suspect(row)}
        if not crowds:
            return
        held = await self._table.read("held", {"worker_ids": sorted(crowds)})
        for claim in claims:
            in_order = sorted(claim.taken, key=_place)
            crowded = [_fence(row) for row in leaving.pick_crowded(in_order, held)]
            if crowded:
                await self._ends.leave_all(crowded, leaving.step_aside)
            for fence in crowded:
                self.drop(fence)
            claim.taken = [row for row in in_order if _fence(row) not in crowded]

    async def _readable(self, rows: Sequence[JobRow]) -> list[Job]:
        """Return the jobs, oldest first; fail those that cannot be decoded, so that they never come back."""
        fences = [_fence(row) for row in sorted(rows, key=_place)]
        jobs = [self.recall(fence) for fence in fences]
        bad = [fence for fence, job in zip(fences, jobs, strict=True) if job is None]
        if bad:
            await self._ends.leave_all(bad, leaving.set_aside(leaving.UNDECODABLE))
        return [job for job in jobs if job is not None]

    async def _beat(self, asked: Sequence[tuple[WorkerId, float]]) -> list[Beat | Exception]:
        leases = {worker_id: round(seconds * 1_000_000) for worker_id, seconds in asked}
        params: Columns = {"ids": list(leases), "leases": list(leases.values())}
        async with self._turn:
            rows = await self._table.db.write(SQL["beat"], params, repeatable=True, quick=True)
            alive = [str(row["id"]) for row in rows]
            held = await self._table.read("held", {"worker_ids": alive})
            lost = [row for row in held if not self._is_told(row)]
            await self._ends.leave_all([read_job(row).fence for row in lost], leaving.release)
        return [
            Beat(frozenset(JobId(row["id"]) for row in held if _is_unwanted(row, worker_id)))
            if worker_id in alive
            else LeaseLost("This worker's lease ran out and its jobs were given away.")
            for worker_id, _ in asked
        ]


def _fence(row: JobRow) -> Fence:
    return Fence(row["id"], row["attempt"], row["worker_id"])


def _place(row: JobRow) -> tuple[int, int]:
    return row["lane"], row["ord"]


def _is_unwanted(row: JobRow, worker_id: WorkerId) -> bool:
    assert row["state"] == JobState.RUNNING  # noqa: S101 - nothing else is held
    return bool(row["worker_id"] == worker_id and row["cancel_requested"])
