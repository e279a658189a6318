"""One live connection to a SQL server; once broken it stays so.

The driver's class for CockroachDB serves PostgreSQL as well, so both are spoken to in one way.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar, cast

import psycopg
from psycopg import AsyncCursor, AsyncRawCursor
from psycopg.conninfo import make_conninfo
from psycopg.crdb import AsyncCrdbConnection
from psycopg.rows import DictRow
from psycopg.types.numeric import Int8Dumper

from media_pipeline.db.database import DatabaseRefused, DatabaseUnavailable, Row, Value
from media_pipeline.db.retry import OutcomeUnknown, StalePlan, translate

T = TypeVar("T")
Values = Sequence[Value | Sequence[Value]]
Connection = AsyncCrdbConnection[DictRow]
Connect = Callable[[str], Awaitable[Connection]]

_ALIVE: Final[Mapping[str, str | int]] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "media-pipeline",
}
"""A server that went away silently is noticed in seconds, not in hours."""

PLANNING: Final = ("plan_cache_mode = force_generic_plan", "enable_seqscan = off", "jit = off")
"""A plan is made once and kept: one made while a table was empty must not read the table when it is large."""

_BEGIN: Final[tuple[str, Values]] = ("BEGIN", ())
_QUICK: Final = ("synchronous_commit = off",)
ANSWER_SECONDS: Final = 10.0
"""How long a server may take for a statement whose connection lives: one that stands still, or a proxy
before it, acknowledges every byte and never answers."""
_DAY: Final = 24 * 3600.0
_REFUSED: Final = re.compile(
    r"authentication failed|does not exist|no pg_hba\.conf|no password supplied|not permitted"
    r"|permission denied"
)
"""What servers say; the driver has no code for a connection that never came about. In another language it
is waited for like a server that is away."""


async def connect(url: str) -> Connection:
    """Open a connection whose statements commit by themselves and are planned once."""
    conn = await AsyncCrdbConnection.connect(
        make_conninfo(url, **_ALIVE),
        autocommit=True,
        row_factory=_as_rows,
        cursor_factory=AsyncRawCursor,
        prepare_threshold=0,
    )
    conn.adapters.register_dumper(int, Int8Dumper)  # one plan a statement, not one for each size of number
    return conn


def _as_rows(cursor: AsyncCursor[DictRow]) -> Callable[[Sequence[Value]], DictRow]:
    """Name the values of a row; `cursor.description` would build an object for each column, each time."""
    result = cursor.pgresult
    names = [_decoded(result.fname(place)) for place in range(result.nfields)] if result else []
    return lambda values: dict(zip(names, values, strict=True))


@functools.cache
def _decoded(name: bytes | None) -> str:
    return "" if name is None else name.decode()


async def _rows_of(cursor: AsyncCursor[DictRow]) -> list[Row]:
    result = cursor.pgresult
    return cast("list[Row]", await cursor.fetchall()) if result and result.nfields else []


class Session:
    """Statements over one connection; each is a transaction of its own until `begin`."""

    def __init__(self, conn: Connection, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._conn = conn
        self._answer_seconds = answer_seconds
        self._begin_is_due = False

    @classmethod
    async def open(
        cls, url: str, *, quick: bool, connect: Connect, answer_seconds: float = ANSWER_SECONDS
    ) -> Session:
        """Connect, or raise `DatabaseUnavailable`; a `quick` one does not wait for the server's disk."""
        try:
            session = cls(await connect(url), answer_seconds=answer_seconds)
            await session.prepare(quick=quick)
        except (psycopg.Error, OutcomeUnknown) as error:
            message = " ".join(str(error).split())
            if _REFUSED.search(message):
                raise DatabaseRefused(f"The database does not let us in: {message}.") from error
            raise DatabaseUnavailable(f"The database cannot be reached: {message}.") from error
        return session

    async def prepare(self, *, quick: bool) -> None:
        """Set what a connection to PostgreSQL is to be like."""
        if not AsyncCrdbConnection.is_crdb(self._conn):
            for setting in (*PLANNING, *(_QUICK if quick else ())):
                await self.rows(f"SET {setting}", prepare=False)

    @property
    def closed(self) -> bool:
        return self._conn.closed

    async def rows(
        self, text: str, values: Values = (), *, prepare: bool = True, long: bool = False
    ) -> list[Row]:
        """Run one statement and return its rows; a `long` one may take a day."""
        if self._begin_is_due:
            return (await self.burst([(text, values)]))[0]
        return await self._guarded(lambda: self._execute(text, values, prepare=prepare), long=long)

    async def burst(self, statements: Sequence[tuple[str, Values]]) -> list[list[Row]]:
        """Send all `statements` at once, in their order; return the rows of each when all are done."""
        begun, self._begin_is_due = self._begin_is_due, False
        if not begun:
            return await self._guarded(lambda: self._send_all(statements))
        return (await self._guarded(lambda: self._send_all([_BEGIN, *statements])))[1:]

    def begin(self) -> None:
        """Begin a transaction with what is sent next, which is prepared and takes no day."""
        self._begin_is_due = True

    async def commit(self) -> None:
        if not self._begin_is_due:
            await self.rows("COMMIT")
        self._begin_is_due = False

    async def undo(self) -> None:
        """Roll back, or hang up, which comes to the same."""
        if self._begin_is_due:
            self._begin_is_due = False
            return
        try:
            await self.rows("ROLLBACK", prepare=False)
        except (psycopg.Error, DatabaseUnavailable, asyncio.CancelledError):
            await self.aclose()

    async def aclose(self) -> None:
        await self._conn.close()

    async def _execute(self, text: str, values: Values, *, prepare: bool) -> list[Row]:
        return await _rows_of(await self._conn.execute(text, values, prepare=prepare))

    async def _send_all(self, statements: Sequence[tuple[str, Values]]) -> list[list[Row]]:
        async with self._conn.pipeline():
            cursors = [await self._conn.execute(text, values, prepare=True) for text, values in statements]
        return [await _rows_of(cursor) for cursor in cursors]

    async def _guarded(self, work: Callable[[], Awaitable[T]], *, long: bool = False) -> T:
        """Translate the driver's errors; hang up where nobody knows how the connection stands."""
        seconds = _DAY if long else self._answer_seconds
        watch = asyncio.get_running_loop().call_later(seconds, self._break_off)
        try:
            return await work()
        except psycopg.Error as error:
            meant = translate(error)
            if isinstance(meant, StalePlan):
                await self.aclose()
            raise meant from error
        except asyncio.CancelledError:
            await self.aclose()
            raise
        finally:
            watch.cancel()

    def _break_off(self) -> None:
        """End the connection under whoever waits for it; to cancel would be to wait for the server again."""
        with (
            contextlib.suppress(psycopg.Error, OSError),
            socket.socket(fileno=os.dup(self._conn.fileno())) as link,
        ):
            link.shutdown(socket.SHUT_RDWR)
