"""How fast is the queue on PostgreSQL, beside PgQueuer and Procrastinate on the same server in the same run?

    uv sync --group bench
    .venv/bin/python -m bench.queue_postgres [--jobs 5000] [--rounds 3] [--profile drain]

The server is started for this run with its durable defaults (fsync on). Every enqueue is awaited until
it is durable, every drain ends with the last durable end, jobs do nothing. Producer and worker share a
process, so our worker is woken without Redis; ours keeps windows for 100 users, leases and results, which
the peers do not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import logging
import pstats
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Protocol

import asyncpg
import procrastinate
import structlog
import uvloop
from pgqueuer import AsyncpgPoolDriver, PgQueuer, Queries
from pgqueuer.models import Job as PeerJob
from pgqueuer.types import QueueExecutionMode
from tests.servers.postgres import OwnServer, own_server

from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.ids import JobId, UserId
from media_pipeline.jsonvalue import JsonObject
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import Job, NewJob
from media_pipeline.queue.postgres import PostgresQueue
from media_pipeline.queue.queue import Outcome
from media_pipeline.queue.worker import Worker, WorkerSettings

PAYLOAD: JsonObject = {"prompt": "a harbour at dusk, layered hills, warm light", "n": 1, "width": 1024}
USERS, SLOTS, PRODUCERS, PICKUPS = 100, 100, 32, 100
Note = Callable[[int], None]


class Contender(Protocol):
    """A queue with a fresh database."""

    async def enqueue(self, number: int) -> None: ...

    def working(self, note: Note) -> contextlib.AbstractAsyncContextManager[None]:
        """Run a worker that calls `note` when a job starts and, once durable, ends are counted."""
        ...

    async def left(self) -> int:
        """Return how many jobs have not durably ended."""
        ...

    async def aclose(self) -> None: ...


class Counting:
    """An announcer that only counts the ends it would tell."""

    def __init__(self, ours: Ours) -> None:
        self._ours = ours

    async def started(self, job: Job) -> None: ...

    async def lost(self, job: Job) -> None: ...

    async def ended(self, job: Job) -> None:  # noqa: ARG002 - as the protocol has it
        self._ours.ended += 1


class Ours:
    @classmethod
    async def open(cls, url: str) -> Ours:
        self = cls(PostgresDatabase(url))
        await migrate(self.db)
        return self

    def __init__(self, db: PostgresDatabase) -> None:
        self.db = db
        self.doorbell = LocalDoorbell()
        self.queue = PostgresQueue(db, self.doorbell, window=lambda _kind: SLOTS)
        self.begun = self.ended = 0

    async def enqueue(self, number: int) -> None:
        payload = {**PAYLOAD, "number": number}
        user = UserId(f"user-{number % USERS}")
        await self.queue.enqueue(
            NewJob(id=JobId(str(uuid.uuid4())), user_id=user, kind="noop", payload=payload)
        )
        self.begun += 1

    @contextlib.asynccontextmanager
    async def working(self, note: Note) -> AsyncIterator[None]:
        async def handle(run: Run) -> Outcome:
            number = run.job.payload["number"]
            assert isinstance(number, int)
            note(number)
            return Outcome({})

        settings = WorkerSettings(concurrency=SLOTS)
        worker = Worker(self.queue, {"noop": handle}, Counting(self), self.doorbell, settings=settings)
        task = asyncio.create_task(worker.run())
        yield
        worker.stop()
        await task

    async def left(self) -> int:
        return self.begun - self.ended

    async def aclose(self) -> None:
        await self.db.aclose()


class PgQueuerPeer:
    @classmethod
    async def open(cls, url: str) -> PgQueuerPeer:
        self = cls(await asyncpg.create_pool(url, min_size=PRODUCERS, max_size=PRODUCERS))
        await self.queries.install()
        return self

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.driver = AsyncpgPoolDriver(pool)
        self.queries = Queries(self.driver)

    async def enqueue(self, number: int) -> None:
        await self.queries.enqueue("noop", str(number).encode())

    @contextlib.asynccontextmanager
    async def working(self, note: Note) -> AsyncIterator[None]:
        worker = PgQueuer(self.driver)

        async def handle(job: PeerJob) -> None:
            note(int(job.payload or b"0"))

        worker.entrypoint("noop")(handle)

        running = worker.run(
            batch_size=SLOTS,
            max_concurrent_tasks=2 * SLOTS,
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


class ProcrastinatePeer:
    @classmethod
    async def open(cls, url: str) -> ProcrastinatePeer:
        self = cls(procrastinate.PsycopgConnector(conninfo=url, min_size=PRODUCERS, max_size=PRODUCERS))
        await self.app.open_async()
        await self.app.schema_manager.apply_schema_async()
        return self

    def __init__(self, connector: procrastinate.PsycopgConnector) -> None:
        self.app = procrastinate.App(connector=connector)
        self.note: Note = lambda _number: None
        self.task = self.app.task(name="noop")(self._noop)

    async def _noop(self, number: int) -> None:
        self.note(number)

    async def enqueue(self, number: int) -> None:
        await self.task.defer_async(number=number)

    @contextlib.asynccontextmanager
    async def working(self, note: Note) -> AsyncIterator[None]:
        self.note = note
        task = asyncio.create_task(
            self.app.run_worker_async(concurrency=SLOTS, install_signal_handlers=False)
        )
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def left(self) -> int:
        query = "SELECT count(*) AS left FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        row = await self.app.connector.execute_query_one_async(query)
        return int(row["left"])

    async def aclose(self) -> None:
        await self.app.close_async()


Open = Callable[[str], Awaitable[Contender]]
CONTENDERS: dict[str, tuple[Open, float]] = {
    "ours": (Ours.open, 1.0),
    "PgQueuer": (PgQueuerPeer.open, 1.0),
    "Procrastinate": (ProcrastinatePeer.open, 0.1),
}
"""How to open each, and the share of the jobs it is given, for patience's sake."""


async def enqueue_rate(contender: Contender, *, jobs: int, producers: int) -> float:
    numbers = iter(range(jobs))

    async def produce() -> None:
        for number in numbers:
            await contender.enqueue(number)

    began = time.perf_counter()
    await asyncio.gather(*(produce() for _ in range(producers)))
    return jobs / (time.perf_counter() - began)


async def drain_rate(contender: Contender, *, jobs: int) -> float:
    """Jobs a second, from the worker's start to the last durable end."""
    seen = 0
    over = asyncio.Event()

    def note(_number: int) -> None:
        nonlocal seen
        seen += 1
        if seen >= jobs:
            over.set()

    began = time.perf_counter()
    async with contender.working(note):
        await over.wait()
        while await contender.left():  # noqa: ASYNC110 - the peers have no event for it
            await asyncio.sleep(0.002)
        return jobs / (time.perf_counter() - began)


async def pickup_ms(contender: Contender) -> list[float]:
    """Milliseconds from before an enqueue to its job's start, one at a time, the worker idle."""
    asked: dict[int, float] = {}
    waits: list[float] = []
    picked = asyncio.Event()

    def note(number: int) -> None:
        waits.append((time.perf_counter() - asked[number]) * 1e3)
        picked.set()

    async with contender.working(note):
        await asyncio.sleep(0.5)
        for number in range(PICKUPS):
            picked.clear()
            asked[number] = time.perf_counter()
            await contender.enqueue(number)
            await picked.wait()
            await asyncio.sleep(0.02)
    return sorted(waits)


async def measure(open_one: Open, server: OwnServer, *, jobs: int) -> dict[str, float]:
    """Return every figure of one contender, each on a database of its own."""

    @contextlib.asynccontextmanager
    async def fresh() -> AsyncIterator[Contender]:
        contender = await open_one(server.create_database("bench"))
        yield contender
        await contender.aclose()

    figures: dict[str, float] = {}
    async with fresh() as one:
        figures["enqueue 1x1 /s"] = await enqueue_rate(one, jobs=jobs // 4, producers=1)
    async with fresh() as many:
        figures["32 producers /s"] = await enqueue_rate(many, jobs=jobs, producers=PRODUCERS)
        figures["drain /s"] = await drain_rate(many, jobs=jobs)
    async with fresh() as idle:
        waits = await pickup_ms(idle)
        figures["pickup p50 ms"] = statistics.median(waits)
        figures["pickup p99 ms"] = waits[int(len(waits) * 0.99)]
    return figures


async def report(server: OwnServer, *, jobs: int, rounds: int) -> None:
    """Print medians and our ratio to each; the rounds of all contenders are interleaved."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, (open_one, share) in CONTENDERS.items():
            found[name].append(await measure(open_one, server, jobs=int(jobs * share)))
    medians = {
        name: {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
        for name, runs in found.items()
    }
    print(f"{'':<18}" + "".join(f"{name:>16}{'ours is':>10}" for name in medians))
    for figure, ours in medians["ours"].items():
        columns = (f"{of[figure]:>16,.2f}{ours / of[figure]:>9.2f}x" for of in medians.values())
        print(f"{figure:<18}" + "".join(columns))


async def profiled(server: OwnServer, *, jobs: int) -> None:
    """Print where the process spends its time while ours drains."""
    ours = await Ours.open(server.create_database("bench"))
    await enqueue_rate(ours, jobs=jobs, producers=PRODUCERS)
    profile = cProfile.Profile()
    profile.enable()
    rate = await drain_rate(ours, jobs=jobs)
    profile.disable()
    print(f"{rate:,.0f}/s under the profiler")
    pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    await ours.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", choices=["drain"], default=None)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    logging.disable(logging.WARNING)
    server = own_server(durable=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.profile:
            runner.run(profiled(server, jobs=options.jobs))
        else:
            runner.run(report(server, jobs=options.jobs, rounds=options.rounds))


if __name__ == "__main__":
    main()
