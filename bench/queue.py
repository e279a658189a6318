"""How fast is the queue on SQLite, beside the bare floor of the same disk in the same run?

    .venv/bin/python bench/queue.py [--jobs 5000] [--quick] [--dir FOLDER] [--profile enqueue|drain]

Every figure is on a file with synchronous=FULL. The floor is `sqlite3` alone: one INSERT of the same
payload into a plain table a commit, and a hundred a commit.
"""

from __future__ import annotations

import sys

sys.path.pop(0)  # this folder: here stands a `queue.py` that is not the standard library's

import argparse
import asyncio
import contextlib
import cProfile
import logging
import pstats
import sqlite3
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvloop

from media_pipeline.db.migrate import migrate
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.ids import JobId, UserId
from media_pipeline.jsonvalue import JsonObject
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.job import Job, NewJob
from media_pipeline.queue.queue import Outcome
from media_pipeline.queue.sqlite import SqliteQueue
from media_pipeline.queue.worker import Announcer, Handler, Run, Worker, WorkerSettings

PAYLOAD: JsonObject = {"prompt": "a harbour at dusk, layered hills, warm light", "n": 1, "width": 1024}
USERS = 100
SLOTS = 100
PRODUCERS = 32


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    floor: float | None = None

    def __str__(self) -> str:
        ratio = f"{self.value / self.floor:.2f} x" if self.floor else ""
        return f"{self.name:<38}{self.value:>12,.2f} {self.unit:<8}{ratio:>8}"


class Silence:
    """An announcer that tells nobody."""

    async def started(self, job: Job) -> None: ...

    async def ended(self, job: Job) -> None: ...

    async def lost(self, job: Job) -> None: ...


class Countdown(Silence):
    """An announcer that says when so many jobs have ended."""

    def __init__(self, jobs: int) -> None:
        self.left = jobs
        self.over = asyncio.Event()

    async def ended(self, job: Job) -> None:  # noqa: ARG002 - as the protocol has it
        self.left -= 1
        if not self.left:
            self.over.set()


@dataclass(frozen=True, slots=True)
class Stage:
    """A fresh queue on a file, and the bell that wakes its worker."""

    queue: SqliteQueue
    doorbell: LocalDoorbell

    @contextlib.asynccontextmanager
    async def working(self, handler: Handler, announcer: Announcer) -> AsyncIterator[None]:
        settings = WorkerSettings(concurrency=SLOTS, poll=3600.0)
        worker = Worker(self.queue, {"image": handler}, announcer, self.doorbell, settings=settings)
        task = asyncio.create_task(worker.run())
        yield
        worker.stop()
        await task


@contextlib.asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    database = SqliteDatabase(folder / f"{uuid.uuid4().hex}.db")
    await database.open()
    await migrate(database)
    doorbell = LocalDoorbell()
    queue = SqliteQueue(database, doorbell, window=lambda _kind: SLOTS)
    await queue.open()
    yield Stage(queue, doorbell)
    await database.aclose()


def new_job(number: int) -> NewJob:
    user = UserId(f"user-{number % USERS}")
    return NewJob(id=JobId(str(uuid.uuid4())), user_id=user, kind="image", payload=PAYLOAD)


def bare_commits(folder: Path, *, rows: int, group: int) -> float:
    """Rows a second through `sqlite3` alone, `group` of them a commit."""
    conn = sqlite3.connect(folder / f"floor-{group}.db", isolation_level=None)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=FULL")
    conn.execute("CREATE TABLE floor (id TEXT PRIMARY KEY, user_id TEXT, payload TEXT)")
    values = [(str(uuid.uuid4()), f"user-{n % USERS}", str(PAYLOAD)) for n in range(rows)]
    began = time.perf_counter()
    for start in range(0, rows, group):
        conn.execute("BEGIN IMMEDIATE")
        for value in values[start : start + group]:
            conn.execute("INSERT INTO floor VALUES (?, ?, ?)", value)
        conn.execute("COMMIT")
    seconds = time.perf_counter() - began
    conn.close()
    return rows / seconds


async def enqueue_rate(folder: Path, *, jobs: int, producers: int) -> float:
    """Durable enqueues a second, each producer awaiting its own."""
    numbers = iter(range(jobs))
    async with staged(folder) as stage:

        async def produce() -> None:
            for number in numbers:
                await stage.queue.enqueue(new_job(number))

        return jobs / await timed(asyncio.gather(*(produce() for _ in range(producers))))


async def drain_rate(folder: Path, *, jobs: int) -> float:
    """No-op jobs a second through a real worker, from its start to the last durable end."""
    async with staged(folder) as stage:
        await asyncio.gather(*(stage.queue.enqueue(new_job(number)) for number in range(jobs)))
        audience = Countdown(jobs)
        began = time.perf_counter()
        async with stage.working(do_nothing, audience):
            await audience.over.wait()
            return jobs / (time.perf_counter() - began)


async def do_nothing(_run: Run) -> Outcome:
    return Outcome({})


async def pickup_ms(folder: Path, *, jobs: int) -> list[float]:
    """Milliseconds from before the enqueue to the handler's start, an idle worker."""
    begun: dict[str, float] = {}
    taken: dict[str, float] = {}

    async def note(run: Run) -> Outcome:
        taken[run.job.id] = time.perf_counter()
        return Outcome({})

    async with staged(folder) as stage, stage.working(note, Silence()):
        for number in range(jobs):
            new = new_job(number)
            begun[new.id] = time.perf_counter()
            await stage.queue.enqueue(new)
            await asyncio.sleep(0.02)
    return sorted((taken[job] - begun[job]) * 1e3 for job in taken)


async def timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def measure(folder: Path, *, jobs: int) -> AsyncIterator[Figure]:
    single = bare_commits(folder, rows=jobs // 2, group=1)
    yield Figure("floor: one INSERT a commit", single, "/s")
    grouped = bare_commits(folder, rows=jobs * 4, group=100)
    yield Figure("floor: a hundred INSERTs a commit", grouped, "/s")
    yield Figure("enqueue, one by one", await enqueue_rate(folder, jobs=jobs // 2, producers=1), "/s", single)
    many = await enqueue_rate(folder, jobs=jobs * 2, producers=PRODUCERS)
    yield Figure(f"enqueue, {PRODUCERS} producers", many, "/s", grouped)
    yield Figure(f"drain of {jobs:,}", await drain_rate(folder, jobs=jobs), "/s", grouped)
    waits = await pickup_ms(folder, jobs=min(200, jobs // 10))
    yield Figure("pickup p50", statistics.median(waits), "ms", 1e3 / single)
    yield Figure("pickup p99", waits[int(len(waits) * 0.99)], "ms", 1e3 / single)


async def report(folder: Path, *, jobs: int) -> None:
    print(f"{'':<38}{'':>12} {'':<8}{'floor':>8}")
    async for figure in measure(folder, jobs=jobs):
        print(figure, flush=True)


WORK: dict[str, Callable[..., Awaitable[float]]] = {
    "enqueue": lambda folder, jobs: enqueue_rate(folder, jobs=jobs * 2, producers=PRODUCERS),
    "drain": lambda folder, jobs: drain_rate(folder, jobs=jobs),
}


async def profiled(folder: Path, *, jobs: int, work: str) -> None:
    """Print where the event loop's thread and the writer's spend their time."""
    loop_profile, thread_profiles = cProfile.Profile(), list[cProfile.Profile]()

    def hook(*_: object) -> None:
        thread_profiles.append(cProfile.Profile())
        thread_profiles[-1].enable()

    threading.setprofile(hook)
    loop_profile.enable()
    print(f"{await WORK[work](folder, jobs):,.0f}/s under the profiler")
    loop_profile.disable()
    threading.setprofile(None)
    for profile in (loop_profile, *thread_profiles):
        pstats.Stats(profile).sort_stats("tottime").print_stats(18)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--quick", action="store_true", help="a tenth of the jobs")
    parser.add_argument("--dir", type=Path, default=None, help="where the files are made")
    parser.add_argument("--profile", choices=sorted(WORK), default=None)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    jobs = options.jobs // 10 if options.quick else options.jobs
    with (
        tempfile.TemporaryDirectory(dir=options.dir) as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        path = Path(folder)
        if options.profile:
            runner.run(profiled(path, jobs=jobs, work=options.profile))
        else:
            runner.run(report(path, jobs=jobs))


if __name__ == "__main__":
    main()
