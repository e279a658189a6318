"""The program over Redis: it waits for it, works without it, and makes up for what it could not tell."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from media_pipeline.app import create_app
from media_pipeline.db.migrate import migrate
from media_pipeline.environment import SettingsError, read_settings
from media_pipeline.ids import JobId
from media_pipeline.program import Program
from media_pipeline.queue.announcer import announce_end
from media_pipeline.queue.job import NewJob
from media_pipeline.queue.republisher import Republisher
from media_pipeline.realtime.bus import Opening
from media_pipeline.realtime.events import JobQueued
from tests.conformance.bus.recorder import ANN, listen
from tests.servers.redis import RedisServer, redis_server


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


def build(server: RedisServer) -> Program:
    secret = "s" * 32
    return Program(read_settings(redis_url=server.url, auth_jwt_secret=secret), providers=[])


@asynccontextmanager
async def started(server: RedisServer) -> AsyncIterator[Program]:
    program = build(server)
    await program.start()
    try:
        yield program
    finally:
        await program.stop()


async def test_it_starts_before_redis_and_says_when_it_is_ready(server: RedisServer) -> None:
    """Without Redis the program starts and `/readyz` is 503 and names the bus; with Redis it is 200."""
    server.kill()
    async with started(server) as program:
        transport = httpx2.ASGITransport(create_app(program))
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
            waiting = await client.get("/readyz")
            assert (waiting.status_code, waiting.json()["code"]) == (503, "not_ready")
            assert waiting.json()["detail"].startswith("bus: ")
            server.start()
            async with asyncio.timeout(5):
                while (await client.get("/readyz")).status_code != 200:
                    await program.clock.sleep(0)
            assert (await client.get("/readyz")).json()["checks"] == {"database": "ok", "bus": "ok"}


async def test_what_one_process_publishes_another_streams(server: RedisServer) -> None:
    """An event of a worker's process reaches who listens at a service's."""
    async with started(server) as worker, started(server) as service:
        seen, _ = await listen(service.bus)
        await worker.publisher.publish(ANN, JobQueued(job_id=JobId("job")))
        await seen.until("job/job_queued")


async def test_an_end_that_could_not_be_told_is_told_later(server: RedisServer) -> None:
    """What was committed while Redis was away stays unsettled, and the republisher tells it."""
    program = build(server)
    await program.database.open()
    await migrate(program.database)
    await program.queue.open()
    server.kill()
    new = NewJob(id=JobId("job"), user_id=ANN, kind="generate.image", payload={})
    asked = await program.queue.enqueue(new)
    ended = await program.queue.cancel(asked.job.id)
    await announce_end(program.announcer, ended)
    assert await program.queue.unsettled(older_than=-1) == [ended]
    server.start()
    seen, _ = await listen(program.bus)
    republishing = asyncio.create_task(Republisher(program.queue, program.announcer, interval=0.02).run())
    await seen.until(f"{ended.id}/end")
    assert seen.openings == [Opening.READY]
    republishing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await republishing
    await program.stop()


async def test_an_end_that_redis_missed_is_told_when_it_is_back(server: RedisServer) -> None:
    """What ended just before Redis came back is told at once, not after the republisher's patience."""
    async with started(server) as program:
        seen, _ = await listen(program.bus)
        later = program.clock.now() + 60
        new = NewJob(id=JobId("job"), user_id=ANN, kind="upload", payload={}, run_at=later)
        asked = await program.queue.enqueue(new)
        server.kill()
        ended = await program.queue.cancel(asked.job.id)
        await announce_end(program.announcer, ended)
        server.start()
        async with asyncio.timeout(3):
            await seen.until(f"{ended.id}/end")


@pytest.mark.parametrize("address", ["cache", "http://cache", "redis://", "redis+sentinel://cache"])
def test_an_address_that_cannot_be_read_refuses_the_start(address: str) -> None:
    """A malformed `REDIS_URL` is one line that names it."""
    with pytest.raises(SettingsError, match=r"^REDIS_URL: [^\n]+$"):
        read_settings(redis_url=address)


def test_the_address_is_never_shown() -> None:
    """The printed settings carry no password."""
    settings = read_settings(redis_url="redis://:hush@cache")
    assert "hush" not in repr(settings)
    assert settings.redis is not None
    assert settings.redis.login.password == "hush"
