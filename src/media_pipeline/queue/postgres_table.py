"""The statements of the queue on a SQL server, and the doors through which its parts use them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.db.postgres import Columns, PostgresDatabase
from media_pipeline.db.retry import OutcomeUnknown
from media_pipeline.db.statements import Statement, load_statements
from media_pipeline.queue.job import Fence, JobState
from media_pipeline.queue.queue import Doorbell, LeaseLost
from media_pipeline.queue.records import JobRow

SQL: Final[Mapping[str, Statement]] = load_statements("media_pipeline.queue", "sql/postgres.sql")
_log = structlog.get_logger(__name__)
WINDOW_SHARE: Final = 8
"""An eighth of a window is a handful; with up to 15 places every one is given on at once."""
STEP: Final = 32
"""Jobs let into one window at a time, or two handfuls of a wider one: more than is given on at a time, and
few enough that not much is read for which there is no room."""
SKIP_LOCKED: Final = " FOR UPDATE SKIP LOCKED"
Owner = tuple[str, str]
"""A kind and a user: whose window it is."""


@dataclass(frozen=True, slots=True)
class Table:
    """The table `jobs`, how wide its users' windows are, and the bell beside it."""

    db: PostgresDatabase
    doorbell: Doorbell
    window: Callable[[str], int]
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def read(self, name: str, params: Columns) -> list[JobRow]:
        return list(await self.db.fetch(SQL[name], params))

    async def write(self, name: str, params: Columns, *, repeatable: bool = False) -> list[JobRow]:
        return list(await self.db.write(SQL[name], params, repeatable=repeatable))

    def handful(self, kind: str) -> int:
        """Return how many places of a window are given on at a time."""
        return max(1, self.window(kind) // WINDOW_SHARE)

    async def promote(self, owners: Iterable[Owner]) -> bool:
        """Let blocked jobs of these owners into the room there is; tell whether any came in.

        Runs after what made the room has committed, and after a blocked job has: of two that
        happen at once the later one sees both. Two at once would reach for the same jobs, and one
        wait for the other's commit, so those of one process take turns.
        """
        listed = sorted(set(owners))
        promoted = False
        while listed:
            try:
                async with self._turn:
                    let_in = await self._let_in(listed)
            except DatabaseUnavailable as error:  # what made the room has happened; the next `tend` fills it
                _log.warning("queue.not_promoted", owners=len(listed), error=str(error))
                break
            if let_in:
                self.doorbell.ring("work")
                promoted = True
            listed = [owner for owner in listed if let_in[owner] >= self._step(owner)]
        return promoted

    async def _let_in(self, owners: Sequence[Owner]) -> Counter[Owner]:
        """Let up to a step of each owner's jobs in; return how many came, or may have come."""
        windows = [self.window(kind) for kind, _ in owners]
        params: Columns = {
            "kinds": [kind for kind, _ in owners],
            "user_ids": [user_id for _, user_id in owners],
            "windows": windows,
            "most": max(windows),
            "step": max(map(self._step, owners)),
            "blocked": JobState.BLOCKED.value,
        }
        try:
            rows = await self.write("promote", params)
        except OutcomeUnknown:
            await self.write("promote", params, repeatable=True)
            return Counter({owner: self._step(owner) for owner in owners})
        return Counter((row["kind"], row["user_id"]) for row in rows)

    def _step(self, owner: Owner) -> int:
        return max(STEP, 2 * self.handful(owner[0]))


def fence_columns(fences: Sequence[Fence]) -> dict[str, Sequence[str] | Sequence[int]]:
    """Return the parameters that name runs."""
    return {
        "ids": [fence.job_id for fence in fences],
        "fences": [fence.attempt for fence in fences],
        "worker_ids": [fence.worker_id for fence in fences],
    }


def by_fence(rows: Iterable[JobRow]) -> dict[Fence, JobRow]:
    """Return rows by the fence that was shown for them."""
    return {Fence(row["id"], row["attempt"], row["shown_by"]): row for row in rows}


def lease_lost() -> LeaseLost:
    """Return the answer to a fence that is not the newest."""
    return LeaseLost("Another worker owns this job now, or it has ended.")
