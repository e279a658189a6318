"""Our queue with every feature on: windows for users, leases, fences, results."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from bench.peers.stand import TEXT, Handle, serve
from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import Job, NewJob
from media_pipeline.queue.postgres import PostgresQueue
from media_pipeline.queue.queue import Outcome, Queue
from media_pipeline.queue.rescuer import Rescuer
from media_pipeline.queue.sqlite import SqliteQueue
from media_pipeline.queue.worker import Worker, WorkerSettings


class Ours:
    """It counts its own ends: as an announcer it hears each once it is durable."""

    queue: Queue
    database: PostgresDatabase | SqliteDatabase

    def __init__(self) -> None:
        self.doorbell = LocalDoorbell()
        self.begun = self.over = 0

    async def open(self, url: str, *, slots: int) -> None:
        self.slots = slots
        window = slots * 5 // 4  # what is free is taken up while the end before it is still being written
        if url.startswith("postgresql:"):
            postgres = PostgresDatabase(url)
            self.queue = PostgresQueue(postgres, self.doorbell, window=lambda _kind: window)
            self.database = postgres
        else:
            sqlite = SqliteDatabase(Path(url))
            self.queue = SqliteQueue(sqlite, self.doorbell, window=lambda _kind: window)
            self.database = sqlite
        await self.database.open()
        await migrate(self.database)

    async def enqueue(self, number: int, user: str) -> None:
        new = NewJob(
            id=JobId(str(uuid.uuid4())),
            user_id=UserId(user),
            kind="noop",
            payload={"prompt": TEXT, "number": number},
        )
        await self.queue.enqueue(new)
        self.begun += 1

    @contextlib.asynccontextmanager
    async def working(self, handle: Handle) -> AsyncIterator[None]:
        async def handler(run: Run) -> Outcome:
            number = run.job.payload["number"]
            assert isinstance(number, int)
            await handle(number)
            return Outcome({})

        settings = WorkerSettings(concurrency=self.slots)
        worker = Worker(self.queue, {"noop": handler}, self, self.doorbell, settings=settings)
        rescuing = asyncio.create_task(Rescuer(self.queue, self, self.doorbell).run())
        running = asyncio.create_task(worker.run())
        yield
        worker.stop()
        await running
        rescuing.cancel()

    async def left(self) -> int:
        return self.begun - self.over

    async def started(self, job: Job) -> None: ...

    async def lost(self, job: Job) -> None: ...

    async def ended(self, job: Job) -> None:  # noqa: ARG002 - as the announcer's protocol has it
        self.over += 1

    async def aclose(self) -> None:
        await self.database.aclose()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    serve(Ours())
