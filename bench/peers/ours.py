"""Our queue with every feature on: windows for users, leases, fences, results.

    python -m bench.peers.ours kept|bare QUESTION URL JOBS

Each end also keeps an image in its user's library, found by the words of its prompt, in the same write, as a
generation does. No peer has anything like it; `bare` leaves it out, so that like is beside like.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from bench.peers.stand import TEXT, Handle, serve
from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.heap import spare_heap
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.item import Item
from media_pipeline.media.library import keep_item
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import Job, NewJob
from media_pipeline.queue.postgres import PostgresQueue
from media_pipeline.queue.queue import Outcome, Queue
from media_pipeline.queue.rescuer import Rescuer
from media_pipeline.queue.sqlite import SqliteQueue
from media_pipeline.queue.worker import Worker, WorkerSettings


def keep(job: Job) -> Outcome:
    """Finish with a picture's row, as it stands in the library."""
    item = Item(
        path=f"media/{job.user_id}/images/{job.id}_0.png",
        user_id=job.user_id,
        job_id=job.id,
        kind="image",
        source="generated",
        name="a-harbour-at-dusk.png",
        content_type="image/png",
        size=1_000_000,
        version="1",
        created_at=job.created_at,
        width=1024,
        height=1024,
        prompt=TEXT,
        model="noop",
        seed=1,
    )
    return Outcome({"items": [{"path": item.path}]}, keep_item(item))


class Ours:
    """It counts its own ends: as an announcer it hears each once it is durable."""

    queue: Queue
    database: PostgresDatabase | SqliteDatabase

    def __init__(self, *, keeps: bool = True) -> None:
        self.keeps = keeps
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
        spare_heap()  # as `worker` and `serve` do before they begin

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
            return keep(run.job) if self.keeps else Outcome({})

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
    serve(Ours(keeps=sys.argv.pop(1) == "kept"))
