"""Oban for Python; it needs Python 3.12, so it runs in an interpreter of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from oban import Oban, worker
from oban.schema import install

from bench.peers.stand import PRODUCERS, TEXT, Handle, serve

_handles: list[Handle] = []


@worker(queue="noop")
class Noop:
    async def process(self, job):  # noqa: ANN001, ANN201 - its own types
        await _handles[-1](job.args["number"])


class Peer:
    async def open(self, url: str, *, slots: int) -> None:
        self.slots = slots
        self.pool = await Oban.create_pool(url, min_size=PRODUCERS, max_size=PRODUCERS + 8)
        await install(self.pool)
        self.client = Oban(pool=self.pool)

    async def enqueue(self, number: int, user: str) -> None:  # noqa: ARG002 - it knows no users
        await self.client.enqueue(Noop.new({"number": number, "prompt": TEXT}))

    @contextlib.asynccontextmanager
    async def working(self, handle: Handle) -> AsyncIterator[None]:
        _handles.append(handle)
        async with Oban(pool=self.pool, name="Worker", queues={"noop": self.slots}):
            yield

    async def left(self) -> int:
        async with self.pool.connection() as conn:
            states = "('scheduled', 'available', 'executing', 'retryable')"
            row = await (
                await conn.execute(f"SELECT count(*) FROM oban_jobs WHERE state IN {states}")
            ).fetchone()
        return int(row[0])

    async def aclose(self) -> None:
        await self.pool.close()


if __name__ == "__main__":
    serve(Peer())
