"""A connection for one task at a time, made when it is needed and anew after it broke."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from psycopg.errors import DuplicateObject, DuplicateTable, UniqueViolation

from media_pipeline.db.database import Row
from media_pipeline.db.retry import Conflict, OutcomeUnknown
from media_pipeline.db.session import ANSWER_SECONDS, Connect, Session, Values, connect

T = TypeVar("T")
_MADE_MEANWHILE: Final = (DuplicateObject, DuplicateTable, UniqueViolation)
"""What IF NOT EXISTS still raises in PostgreSQL when two make the same at once."""


class Line:
    """A dedicated connection. `quick` ones do not wait for the server's disk."""

    def __init__(
        self,
        url: str,
        *,
        quick: bool = False,
        connect: Connect = connect,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._url = url
        self._answer_seconds = answer_seconds
        self._quick = quick
        self._connect = connect
        self._session: Session | None = None

    async def open(self) -> Session:
        """Return the session, a new one if need be; `DatabaseUnavailable` when nobody answers."""
        if self._session is None or self._session.closed:
            await self.aclose()
            self._session = await Session.open(
                self._url, quick=self._quick, connect=self._connect, answer_seconds=self._answer_seconds
            )
        return self._session

    async def rows(self, text: str, values: Values = ()) -> list[Row]:
        """Run one statement in a transaction of its own and return its rows."""
        session = await self.open()
        return await session.rows(text, values)

    async def alter(self, text: str, values: Values = ()) -> None:
        """Run a statement that changes tables and bears repeating; another process may be at the same."""
        session = await self.open()
        try:
            await session.rows(text, values, prepare=False, long=True)
        except _MADE_MEANWHILE as error:
            raise Conflict(f"Another process makes the same: {error}") from error

    async def transact(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run `work` between BEGIN and COMMIT; only a lost answer to COMMIT leaves its outcome unknown."""
        session = await self.open()
        try:
            value = await _begin_and(work, session)
            await session.commit()
        except BaseException:
            await session.undo()
            raise
        return value

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.aclose()


async def _begin_and(work: Callable[[Session], Awaitable[T]], session: Session) -> T:
    try:
        session.begin()
        return await work(session)
    except OutcomeUnknown as error:
        raise Conflict(f"Broken off before its commit: {error}") from error
