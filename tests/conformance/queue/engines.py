"""The engines that must keep the promises of `Queue`: one set-up each."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from media_pipeline.db.database import Effect
from media_pipeline.db.migrate import migrate
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.db.statements import Statement
from media_pipeline.ids import JobId
from media_pipeline.queue.backoff import Backoff
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.queue import Queue
from media_pipeline.queue.sqlite import SqliteQueue
from tests.clocks import FakeClock

from .postgres_engines import POSTGRES_ENGINES

WINDOW = 2
"""How many of a user's jobs of a kind an engine under test lets into play, unless a test says."""


class Engine(Protocol):
    """An engine under test: a queue with settings that a test may turn, and what SQL alone can show."""

    queue: Queue
    doorbell: LocalDoorbell
    window: int
    draw: float

    def now(self) -> float:
        """Return the database's time."""
        ...

    def advance(self, seconds: float) -> None:
        """Let the database's time pass."""
        ...

    async def reopen(self) -> None:
        """Begin again as a new process would, on what the old one left; in memory: the same tables."""
        ...

    async def garble(self, job_id: JobId) -> None:
        """Make a job's payload unreadable."""
        ...

    def note(self, text: str) -> Effect:
        """Return a write that `notes` shows once it is committed; the same text twice is refused."""
        ...

    async def notes(self) -> list[str]: ...


class SqliteEngine:
    """SQLite, in memory or in a file."""

    def __init__(self, path: Path | None) -> None:
        self.window = WINDOW
        self.draw = 0.5
        self.clock = FakeClock()
        self._path = path

    async def open(self) -> None:
        self.database = SqliteDatabase(self._path, clock=self.clock)
        await self.database.open()
        await migrate(self.database)
        await self._do("CREATE TABLE IF NOT EXISTS notes (text TEXT PRIMARY KEY)")
        await self._begin()

    async def _begin(self) -> None:
        self.doorbell = LocalDoorbell()
        backoff = Backoff(draw=lambda: self.draw)
        queue = SqliteQueue(self.database, self.doorbell, window=lambda _kind: self.window, backoff=backoff)
        await queue.open()
        self.queue: Queue = queue

    def now(self) -> float:
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def reopen(self) -> None:
        if self._path is None:
            await self._begin()
        else:
            await self.database.aclose()
            await self.open()

    async def garble(self, job_id: JobId) -> None:
        await self._do(f"UPDATE jobs SET payload = '[' WHERE id = '{job_id}'")

    def note(self, text: str) -> Effect:
        return Effect(Statement("note", "INSERT INTO notes VALUES (:text)"), {"text": text})

    async def notes(self) -> list[str]:
        rows = await self.database.fetch(Statement("notes", "SELECT text FROM notes ORDER BY text"), {})
        return [str(row["text"]) for row in rows]

    async def _do(self, text: str) -> None:
        await self.database.execute(Statement("do", text), {})


@asynccontextmanager
async def sqlite_memory() -> AsyncIterator[Engine]:
    engine = SqliteEngine(None)
    await engine.open()
    yield engine
    await engine.database.aclose()


@asynccontextmanager
async def sqlite_file() -> AsyncIterator[Engine]:
    with tempfile.TemporaryDirectory() as folder:
        engine = SqliteEngine(Path(folder) / f"{uuid.uuid4().hex}.db")
        await engine.open()
        yield engine
        await engine.database.aclose()


ENGINES: Mapping[str, Callable[[], AbstractAsyncContextManager[Engine]]] = {
    "sqlite-memory": sqlite_memory,
    "sqlite-file": sqlite_file,
    **POSTGRES_ENGINES,
}
