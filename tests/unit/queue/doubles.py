"""Stand-ins for what a worker meets: an audience, handlers, a database that goes away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.db.migrate import migrate
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.announcer import Announcer
from media_pipeline.queue.backoff import Backoff
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.handler import Handler, Run
from media_pipeline.queue.job import Attempt, Fence, Job, NewJob, WorkerId
from media_pipeline.queue.queue import Beat, Outcome
from media_pipeline.queue.sqlite import SqliteQueue
from media_pipeline.queue.worker import Worker, WorkerSettings
from tests.clocks import FakeClock

ANN = UserId("ann")
NEVER = 3600.0
"""A poll that no test waits for: whoever needs it hangs."""


class Moments:
    """Something that happens again and again, to be counted and waited for."""

    def __init__(self) -> None:
        self.count = 0
        self._happened = asyncio.Condition()

    async def happen(self) -> None:
        async with self._happened:
            self.count += 1
            self._happened.notify_all()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10), self._happened:
            await self._happened.wait_for(lambda: self.count >= count)


class Audience:
    """An announcer that remembers what it was told, and may be deaf."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, JobId]] = []
        self.ends: list[Job] = []
        self.told = Moments()
        self.deafness: Exception | None = None

    async def started(self, job: Job) -> None:
        await self._hear("started", job)

    async def ended(self, job: Job) -> None:
        await self._hear("ended", job)
        self.ends.append(job)
        await self.told.happen()

    async def lost(self, job: Job) -> None:
        await self._hear("lost", job)

    async def _hear(self, what: str, job: Job) -> None:
        self.heard.append((what, job.id))
        if self.deafness is not None:
            await self.told.happen()
            raise self.deafness


class Gate:
    """A handler that starts, waits until it is opened, and ends; it notes its interruptions."""

    def __init__(self) -> None:
        self.started = Moments()
        self.interrupted = Moments()
        self.open = asyncio.Event()
        self.inside: list[str] = []
        self.most = 0

    async def __call__(self, run: Run) -> Outcome:
        self.inside.append(run.job.kind)
        self.most = max(self.most, len(self.inside))
        await self.started.happen()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            await self.interrupted.happen()
            raise
        finally:
            self.inside.remove(run.job.kind)
        return Outcome({"attempt": run.job.attempt})


class FlakyQueue(SqliteQueue):
    """A queue whose database is away for the methods named in `down`; `refused` counts the tries."""

    down: frozenset[str] = frozenset()

    def __init__(self, database: SqliteDatabase, doorbell: LocalDoorbell) -> None:
        backoff = Backoff(draw=lambda: 0.5)
        super().__init__(database, doorbell, window=lambda _kind: 100, backoff=backoff)
        self.refused = Moments()
        self.tended = Moments()
        self.rounds = Moments()

    async def _answer(self, method: str) -> None:
        if method in self.down:
            await self.refused.happen()
            raise DatabaseUnavailable("The database is away.")

    async def register(self, worker_id: WorkerId, *, lease_seconds: float) -> None:
        await self._answer("register")
        await super().register(worker_id, lease_seconds=lease_seconds)

    async def claim(self, worker_id: WorkerId, free: Mapping[str, int], *, limit: int) -> list[Job]:
        await self._answer("claim")
        return await super().claim(worker_id, free, limit=limit)

    async def beat(self, worker_id: WorkerId, *, lease_seconds: float) -> Beat:
        await self._answer("beat")
        return await super().beat(worker_id, lease_seconds=lease_seconds)

    async def record(self, fence: Fence, attempts: Sequence[Attempt]) -> None:
        await self._answer("record")
        await super().record(fence, attempts)

    async def finish(self, fence: Fence, outcome: Outcome) -> Job:
        await self._answer("finish")
        return await super().finish(fence, outcome)

    async def release(self, fence: Fence) -> Job:
        await self._answer("release")
        return await super().release(fence)

    async def retire(self, worker_id: WorkerId) -> None:
        await self._answer("retire")
        await super().retire(worker_id)

    async def unsettled(self, *, older_than: float, limit: int = 100) -> list[Job]:
        await self._answer("unsettled")
        return await super().unsettled(older_than=older_than, limit=limit)

    async def amend(self, job_id: JobId, attempts: Sequence[Attempt]) -> Job:
        await self._answer("amend")
        return await super().amend(job_id, attempts)

    async def tend(self) -> list[Job]:
        await self._answer("tend")
        ended = await super().tend()
        await self.tended.happen()
        return ended

    async def next_due(self) -> float | None:
        await self._answer("next_due")
        due = await super().next_due()
        await self.rounds.happen()
        return due


@dataclass(slots=True)
class Stage:
    """A queue in memory, its clock, its bell and its audience."""

    clock: FakeClock
    doorbell: LocalDoorbell
    database: SqliteDatabase
    queue: FlakyQueue
    audience: Audience = field(default_factory=Audience)

    async def ask(self, kind: str = "image", *, run_in: float | None = None, max_failures: int = 5) -> Job:
        run_at = None if run_in is None else self.clock.now() + run_in
        job_id = JobId(str(uuid.uuid4()))
        new = NewJob(id=job_id, user_id=ANN, kind=kind, payload={}, run_at=run_at, max_failures=max_failures)
        return (await self.queue.enqueue(new)).job

    @asynccontextmanager
    async def working(
        self,
        handlers: Handler | Mapping[str, Handler],
        *,
        settings: WorkerSettings | None = None,
        announcer: Announcer | None = None,
    ) -> AsyncIterator[Worker]:
        """Run a worker that is stopped in the end; every job of a test gets an end or is given back."""
        worker = Worker(
            self.queue,
            handlers if isinstance(handlers, Mapping) else {"image": handlers},
            announcer or self.audience,
            self.doorbell,
            settings=settings or WorkerSettings(poll=NEVER, grace=0.0),
            clock=self.clock,
        )
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            async with asyncio.timeout(10):
                await task


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    clock, doorbell = FakeClock(), LocalDoorbell()
    database = SqliteDatabase(clock=clock)
    await database.open()
    await migrate(database)
    yield Stage(clock, doorbell, database, FlakyQueue(database, doorbell))
    await database.aclose()


def raising(make: Callable[[], Exception]) -> Handler:
    """Return a handler that raises."""

    async def handler(_run: Run) -> Outcome:
        raise make()

    return handler


async def do_nothing(_run: Run) -> Outcome:
    return Outcome({})
