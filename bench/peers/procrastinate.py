"""Procrastinate: PostgreSQL, psycopg, one statement a job."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import procrastinate

from bench.peers.stand import PRODUCERS, TEXT, Handle, serve


class Peer:
    async def open(self, url: str, *, slots: int) -> None:
        self.slots = slots
        connector = procrastinate.PsycopgConnector(conninfo=url, min_size=PRODUCERS, max_size=PRODUCERS)
        self.app = procrastinate.App(connector=connector)
        self.task = self.app.task(name="noop")(self._run)
        await self.app.open_async()
        await self.app.schema_manager.apply_schema_async()

    async def _run(self, number: int, prompt: str) -> None:  # noqa: ARG002 - a payload like ours
        await self.handle(number)

    async def enqueue(self, number: int, user: str) -> None:  # noqa: ARG002 - it knows no users
        await self.task.defer_async(number=number, prompt=TEXT)

    @contextlib.asynccontextmanager
    async def working(self, handle: Handle) -> AsyncIterator[None]:
        self.handle = handle
        running = self.app.run_worker_async(concurrency=self.slots, install_signal_handlers=False)
        task = asyncio.create_task(running)
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def left(self) -> int:
        query = "SELECT count(*) AS left FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        row = await self.app.connector.execute_query_one_async(query)
        return int(row["left"])

    async def aclose(self) -> None:
        await self.app.close_async()


if __name__ == "__main__":
    serve(Peer())
