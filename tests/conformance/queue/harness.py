"""What the set-ups of all engines have in common: the test's settings, its clock, and plain SQL."""

from __future__ import annotations

from media_pipeline.db.database import Database, Effect
from media_pipeline.db.statements import Statement
from media_pipeline.ids import JobId
from media_pipeline.queue.backoff import Backoff
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.queue import Queue
from tests.clocks import FakeClock

WINDOW = 2
"""How many of a user's jobs of a kind an engine under test lets into play, unless a test says."""


class Harness:
    """A queue whose settings a test may turn; who inherits opens `database` and `queue`."""

    database: Database
    queue: Queue
    doorbell: LocalDoorbell

    def __init__(self) -> None:
        self.window = WINDOW
        self.draw = 0.5
        self.clock = FakeClock()
        self.backoff = Backoff(draw=lambda: self.draw)

    def now(self) -> float:
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def garble(self, job_id: JobId) -> None:
        await self._do(f"UPDATE jobs SET payload = '[' WHERE id = '{job_id}'")

    def note(self, text: str) -> Effect:
        return Effect(Statement("note", "INSERT INTO notes VALUES (:text)"), {"text": text})

    async def notes(self) -> list[str]:
        rows = await self.database.fetch(Statement("notes", "SELECT text FROM notes ORDER BY text"), {})
        return [str(row["text"]) for row in rows]

    async def _do(self, text: str) -> None:
        await self.database.execute(Statement("do", text), {})
