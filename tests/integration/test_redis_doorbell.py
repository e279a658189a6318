"""The doorbell between processes, over a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args
from uuid import uuid4

from media_pipeline.clock import SystemClock
from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.job import JobState, NewJob
from media_pipeline.queue.postgres import PostgresQueue
from media_pipeline.queue.queue import Doorbell, Ring
from media_pipeline.queue.worker import Worker, WorkerSettings
from media_pipeline.realtime.redis_doorbell import RedisDoorbell
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.redis_url import RedisUrl
from tests.servers.postgres import shared_server
from tests.servers.redis import redis_server, shared_url
from tests.unit.queue.doubles import Audience, Gate


@asynccontextmanager
async def doorbell(url: str, prefix: str) -> AsyncIterator[tuple[Doorbell, RedisLine]]:
    line = RedisLine(RedisUrl.parse(url), clock=SystemClock())
    bell = RedisDoorbell(LocalDoorbell(), line, rings=get_args(Ring), prefix=prefix)
    try:
        await line.reach(5)
        await line.probe()
        yield bell, line
    finally:
        await line.aclose()


async def test_a_ring_is_heard_here_and_elsewhere() -> None:
    """Listeners of both processes wake, each to what it listens for, and the ringer's own at once."""
    prefix = str(uuid4())
    async with doorbell(shared_url(), prefix) as (here, _), doorbell(shared_url(), prefix) as (there, _):
        mine, theirs, other = here.listen("work"), there.listen("work"), there.listen("cancel")
        for ear in (mine, theirs, other):
            await ear.wait(0)
        here.ring("work")
        assert await mine.wait(0) == {"work"}
        assert await theirs.wait(5) == {"work"}
        assert await other.wait(0) == frozenset()


async def test_a_cancel_reaches_a_worker_of_another_process_before_its_poll() -> None:
    """What one process's queue is told to cancel stops at a worker of another that polls once an hour."""
    database, url, prefix = (
        PostgresDatabase(shared_server().create_database("bells")),
        shared_url(),
        str(uuid4()),
    )
    await migrate(database)
    gate, hour = Gate(), 3600.0
    async with doorbell(url, prefix) as (here, _), doorbell(url, prefix) as (there, _):
        service, queue = PostgresQueue(database, here), PostgresQueue(database, there)
        settings = WorkerSettings(poll=hour, lease=hour)
        worker = Worker(queue, {"film": gate}, Audience(), there, settings=settings)
        working = asyncio.create_task(worker.run())
        new = NewJob(id=JobId("j"), user_id=UserId("ann"), kind="film", payload={})
        asked = (await service.enqueue(new)).job
        await gate.started.until(1)
        await service.cancel(asked.id)
        await gate.interrupted.until(1)
        worker.stop()
        await working
        assert (await service.get(asked.id)).state is JobState.CANCELLED
    await database.aclose()


async def test_the_own_ring_does_not_come_back() -> None:
    """What was rung here is not heard a second time from Redis."""
    prefix = str(uuid4())
    async with doorbell(shared_url(), prefix) as (here, line):
        ear = here.listen("work", "cancel")
        await ear.wait(0)
        here.ring("work")
        await ear.wait(0)
        await line.probe()
        assert await ear.wait(0) == frozenset()


async def test_after_a_loss_everybody_looks() -> None:
    """What rang while the link was down is made up for by a ring of each kind when it is up again."""
    with redis_server() as server:
        async with doorbell(server.url, "bell") as (here, line):
            ear = here.listen("work", "schedule")
            await ear.wait(0)
            link = await line.reach(5)
            server.cut()
            await link.lost
            async with asyncio.timeout(5):
                assert await ear.wait(5) == {"work", "schedule"}


async def test_without_redis_the_own_process_still_wakes() -> None:
    """A ring while the link is down reaches this process as if there were no Redis."""
    with redis_server() as server:
        async with doorbell(server.url, "bell") as (here, line):
            ear = here.listen("work")
            await ear.wait(0)
            link = await line.reach(5)
            server.kill()
            await link.lost
            here.ring("work")
            assert await ear.wait(0) == {"work"}


async def test_foreign_words_ring_nothing() -> None:
    """What another program publishes on the channel wakes nobody and breaks nothing."""
    with redis_server() as server:
        async with doorbell(server.url, "bell") as (here, line):
            ear = here.listen("work")
            await ear.wait(0)
            for payload in (b"", b"work", b"x fire", b"\xff\xff \xff"):
                server.ask("PUBLISH", "bell:doorbell", payload)
            await line.probe()
            assert await ear.wait(0) == frozenset()
