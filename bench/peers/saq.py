"""SAQ on its PostgreSQL queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from saq import Worker
from saq.queue.postgres import PostgresQueue

from bench.peers.stand import PRODUCERS, TEXT, Handle, serve


class Peer:
    async def open(self, url: str, *, slots: int) -> None:
        self.slots = slots
        self.queue = PostgresQueue.from_url(url, min_size=PRODUCERS, max_size=PRODUCERS)
        await self.queue.connect()

    async def enqueue(self, number: int, user: str) -> None:  # noqa: ARG002 - it knows no users
        await self.queue.enqueue("noop", number=number, prompt=TEXT)

    @contextlib.asynccontextmanager
    async def working(self, handle: Handle) -> AsyncIterator[None]:
        async def noop(_context: object, *, number: int, prompt: str) -> None:  # noqa: ARG001 - like ours
            await handle(number)

        worker = Worker(self.queue, [("noop", noop)], concurrency=self.slots)
        task = asyncio.create_task(worker.start())
        yield
        await worker.stop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def left(self) -> int:
        return int(await self.queue.count("incomplete"))

    async def aclose(self) -> None:
        await self.queue.disconnect()


if __name__ == "__main__":
    serve(Peer())
