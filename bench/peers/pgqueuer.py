"""PgQueuer: PostgreSQL, asyncpg, batched."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
from pgqueuer import AsyncpgPoolDriver, PgQueuer, Queries
from pgqueuer.models import Job
from pgqueuer.types import QueueExecutionMode

from bench.peers.stand import PRODUCERS, SLOTS, TEXT, Handle, serve


class Peer:
    async def open(self, url: str, *, slots: int) -> None:
        self.slots = slots
        self.pool = await asyncpg.create_pool(url, min_size=PRODUCERS, max_size=PRODUCERS)
        self.driver = AsyncpgPoolDriver(self.pool)
        self.queries = Queries(self.driver)
        await self.queries.install()

    async def enqueue(self, number: int, user: str) -> None:  # noqa: ARG002 - it knows no users
        await self.queries.enqueue("noop", f"{number} {TEXT}".encode())

    @contextlib.asynccontextmanager
    async def working(self, handle: Handle) -> AsyncIterator[None]:
        worker = PgQueuer(self.driver)

        async def handler(job: Job) -> None:
            await handle(int((job.payload or b"0").split()[0]))

        worker.entrypoint("noop")(handler)
        at_once = 2 * self.slots if self.slots == SLOTS else self.slots  # its batches are half of that
        running = worker.run(
            batch_size=at_once // 2,
            max_concurrent_tasks=at_once,
            dequeue_timeout=timedelta(seconds=1),
            mode=QueueExecutionMode.continuous,
        )
        task = asyncio.create_task(running)
        yield
        worker.shutdown.set()
        await task

    async def left(self) -> int:
        return int(await self.pool.fetchval("SELECT count(*) FROM pgqueuer"))

    async def aclose(self) -> None:
        await self.pool.close()


if __name__ == "__main__":
    serve(Peer())
