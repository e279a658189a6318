"""What a refusal of a SQL server means, and trying again.

Three things can have happened: nothing, for the server asks to try again (40001, 40P01); nothing,
for it is not there; or nobody knows (40003, or the connection broke while it worked).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import psycopg

from media_pipeline.db.database import DatabaseUnavailable

T = TypeVar("T")
_CONFLICTS: Final = frozenset({"40001", "40P01"})
_UNKNOWN: Final = "40003"
_UNSUPPORTED: Final = "0A000"
_ABSENT: Final = frozenset({"25006", "55P03", "57014", "57P03"})
"""Read-only while it fails over, locked, timed out, starting up: refused before anything was done."""

_FULL: Final = "53"
"""The class of what a server has too little of: disk, memory, connections."""


class Conflict(DatabaseUnavailable):
    """The server undid it for another's sake; the same again may pass."""


class OutcomeUnknown(DatabaseUnavailable):
    """The answer was lost: it happened or it did not."""


class StalePlan(Conflict):
    """A table was changed since this connection planned the statement; a new connection plans anew."""


def translate(error: psycopg.Error) -> Exception:
    """Return what `error` means for whoever asked; a statement that is wrong stays what it is."""
    state, message = error.sqlstate, " ".join(str(error).split())
    if state == _UNSUPPORTED and _is_stale(error):
        return StalePlan(f"The database's tables were changed meanwhile: {message}.")
    if state in _CONFLICTS:
        return Conflict(f"The database asked to try again: {message}.")
    if state in _ABSENT or (state is not None and state.startswith(_FULL)):
        return DatabaseUnavailable(f"The database cannot do it now: {message}.")
    if state == _UNKNOWN or isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return OutcomeUnknown(f"The database did not say whether it was done: {message}.")
    return error


def _is_stale(error: psycopg.Error) -> bool:
    """Tell whether a column came or went under a prepared statement: whatever language it is said in."""
    return error.diag.source_function == "RevalidateCachedQuery" or "cached plan" in str(error)


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after conflicts: `base`, `cap` and `patience` in seconds; `draw` gives a number in [0, 1)."""

    base: float = 0.002
    cap: float = 0.25
    patience: float = 10.0
    draw: Callable[[], float] = random.random

    async def run(self, work: Callable[[], Awaitable[T]], *, repeatable: bool = False) -> T:
        """Return what `work` returns; `repeatable` work is tried again also when its outcome is unknown."""
        until, ceiling = time.monotonic() + self.patience, self.base
        while True:
            try:
                return await work()
            except Conflict:
                if time.monotonic() >= until:
                    raise
            except OutcomeUnknown:
                if not repeatable or time.monotonic() >= until:
                    raise
            await asyncio.sleep(self.draw() * ceiling)
            ceiling = min(self.cap, 2 * ceiling)
