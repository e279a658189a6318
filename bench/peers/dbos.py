"""DBOS on SQLite; it polls each second, as it does by default."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import sqlalchemy
from dbos import DBOS

from bench.peers.stand import TEXT, Handle, serve

_handles: list[Handle] = []


@DBOS.workflow()
async def noop(number: int, prompt: str) -> None:  # noqa: ARG001 - a payload like ours
    await _handles[-1](number)


class Peer:
    async def open(self, url: str, *, slots: int) -> None:
        self.engine = sqlalchemy.create_engine(f"sqlite:///{url}")
        DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{url}", "log_level": "ERROR"})
        DBOS.launch()
        self.slots = slots

    async def enqueue(self, number: int, user: str) -> None:  # noqa: ARG002 - it knows no users
        await DBOS.enqueue_workflow_async("noop", noop, number, TEXT)

    @contextlib.asynccontextmanager
    async def working(self, handle: Handle) -> AsyncIterator[None]:
        _handles.append(handle)
        await DBOS.register_queue_async("noop", worker_concurrency=self.slots)  # from here on it works
        yield

    async def left(self) -> int:
        with self.engine.connect() as conn:
            text = "SELECT count(*) FROM workflow_status WHERE status IN ('ENQUEUED', 'PENDING')"
            return int(conn.execute(sqlalchemy.text(text)).scalar_one())

    async def aclose(self) -> None:
        DBOS.destroy()


if __name__ == "__main__":
    serve(Peer())
