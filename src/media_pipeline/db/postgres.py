"""PostgreSQL or CockroachDB: a few dedicated connections, taken by whoever needs one.

Guarantees: a write is durable when its call returns, unless its caller said that it may be lost with
the server; conflicts between transactions are retried here. Not guaranteed: that a write whose call
raises `OutcomeUnknown` did not happen.

A statement's parameter `:now` is filled in by the database: its own clock, in microseconds since the
Unix epoch, fixed for the length of a transaction. With a `clock` (for tests) it is that clock's.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from operator import attrgetter
from typing import ClassVar, Final, TypeVar

from media_pipeline.clock import Clock
from media_pipeline.db.arrays import write_array
from media_pipeline.db.database import Dialect, Effect, Params, Row, Value
from media_pipeline.db.line import Line
from media_pipeline.db.retry import Retry
from media_pipeline.db.session import ANSWER_SECONDS, Connect, Session, Values, connect
from media_pipeline.db.statements import Statement, number_params

T = TypeVar("T")
Columns = Mapping[str, Value | Sequence[Value]]
"""Parameters, some of which are arrays: one entry a row."""

NOW: Final = "now"
_DATABASE_NOW: Final = "(extract(epoch FROM now()) * 1000000)::INT8"
_LINES: Final = 6
_QUICK_LINES: Final = 2


class PostgresDatabase:
    """One database on a SQL server; `connect`, `retry` and `answer_seconds` are for tests to turn."""

    dialect: ClassVar[Dialect] = "postgres"

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        connect: Connect = connect,
        retry: Retry | None = None,
        lines: int = _LINES,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.url = url
        self._clock = clock
        self._last_us = 0
        self._retry = retry or Retry()
        line = functools.partial(Line, url, connect=connect, answer_seconds=answer_seconds)
        self._lines = _Free([line() for _ in range(lines)])
        self._quick = _Free([line(quick=True) for _ in range(_QUICK_LINES)])
        self._text = functools.cache(self._number)

    async def open(self) -> None:
        """Connect once, so that a wrong address is told now."""
        async with self._lines.one() as line:
            await line.open()

    async def fetch(self, statement: Statement, params: Columns) -> list[Row]:
        return [] if _holds_nul(params) else await self.write(statement, params, repeatable=True)

    async def execute(self, statement: Statement, params: Params, *, durable: bool = True) -> list[Row]:
        return [] if _holds_nul(params) else await self.write(statement, params, quick=not durable)

    async def write(
        self, statement: Statement, params: Columns, *, repeatable: bool = False, quick: bool = False
    ) -> list[Row]:
        """Run one statement in a transaction of its own.

        A `repeatable` one, which done twice is as done once, is repeated when its answer is lost. A
        `quick` one may be lost with the server's machine.
        """
        text, values = self.bind(statement, params)
        async with (self._quick if quick else self._lines).one() as line:
            return await self._retry.run(lambda: line.rows(text, values), repeatable=repeatable)

    async def transact(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run `work` in one transaction, again from its beginning after a conflict."""
        async with self._lines.one() as line:
            return await self._retry.run(lambda: line.transact(work))

    async def apply(self, effects: Sequence[Effect]) -> None:
        await self.transact(lambda session: session.burst(self.bind_all(effects)))

    async def alter(self, effects: Sequence[Effect]) -> None:
        """Run `effects`, which bear repeating, each in a transaction of its own and unprepared."""
        async with self._lines.one() as line:
            for text, values in self.bind_all(effects):
                await self._retry.run(functools.partial(line.alter, text, values), repeatable=True)

    def bind(self, statement: Statement, params: Columns) -> tuple[str, Values]:
        """Return a statement as the driver wants it: `$1`, `$2`… and their values."""
        text, names = self._text(statement)
        return text, [self._now_us() if name == NOW else _write(params[name]) for name in names]

    def bind_all(self, effects: Sequence[Effect]) -> list[tuple[str, Values]]:
        """Bind each; of those that take rows, neighbours become one."""
        bound = []
        for statement, of_it in groupby(effects, key=attrgetter("statement")):
            rows = [effect.params for effect in of_it]
            bound += [self.bind(statement, asked) for asked in ([_columns(rows)] if statement.rows else rows)]
        return bound

    async def aclose(self) -> None:
        await self._lines.aclose()
        await self._quick.aclose()

    def _number(self, statement: Statement) -> tuple[str, Sequence[str]]:
        constants = {} if self._clock else {NOW: _DATABASE_NOW}
        return number_params(statement.text, constants)

    def _now_us(self) -> int:
        """Return the test's time, later than any it returned before."""
        assert self._clock is not None  # noqa: S101 - without it no statement has a parameter `now`
        self._last_us = max(self._last_us + 1, int(self._clock.now() * 1_000_000))
        return self._last_us


def _columns(rows: Sequence[Params]) -> Columns:
    return {name: [row[name] for row in rows] for name in rows[0]}


def _write(value: Value | Sequence[Value]) -> Value:
    return value if value is None or isinstance(value, (str, int, float, bytes)) else write_array(value)


def _holds_nul(params: Columns) -> bool:
    """Tell whether the server would refuse a text for its NUL; nothing that it stores can match one."""
    return any(isinstance(value, str) and "\0" in value for value in params.values())


class _Free:
    """Lines that nobody uses; the one that was used last is the next, so few are kept warm."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._free: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        for line in lines:
            self._free.put_nowait(line)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Line]:
        line = await self._free.get()
        try:
            yield line
        finally:
            self._free.put_nowait(line)

    async def aclose(self) -> None:
        for line in self._lines:
            await line.aclose()
