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
from media_pipeline.ids import JobId
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.queue import Queue
from media_pipeline.queue.sqlite import SqliteQueue

from .harness import Harness
from .postgres_engines import POSTGRES_ENGINES


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


class SqliteEngine(Harness):
    """SQLite, in memory or in a file."""

    database: SqliteDatabase

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self._path = path

    async def open(self) -> None:
        self.database = SqliteDatabase(self._path, clock=self.clock)
        await self.database.open()
        await migrate(self.database)
        await self._do("CREATE TABLE IF NOT EXISTS notes (text TEXT PRIMARY KEY)")
        await self._begin()

    async def _begin(self) -> None:
        self.doorbell = LocalDoorbell()
        queue = SqliteQueue(
            self.database, self.doorbell, window=lambda _kind: self.window, backoff=self.backoff
        )
        await queue.open()
        self.queue = queue

    async def reopen(self) -> None:
        if self._path is None:
            await self._begin()
        else:
            await self.database.aclose()
            await self.open()


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
