"""Streams are counted over all processes, whatever becomes of one of them or of Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.ids import UserId
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.realtime.redis_seats import RedisSeats
from media_pipeline.redis_url import RedisUrl
from tests.clocks import FakeClock
from tests.servers.redis import RedisServer, redis_server

ANN = UserId("ann")
LIMIT = 20


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as redis:
        yield redis


class Process:
    """What one process has of Redis: a line, and the seats that it counts."""

    def __init__(self, server: RedisServer, clock: Clock, *, lease: float) -> None:
        self.line = RedisLine(RedisUrl.parse(server.url), clock=SystemClock(), ping_seconds=0.1)
        self.seats = RedisSeats(self.line, limit=LIMIT, clock=clock, lease=lease)

    async def take(self, count: int) -> int:
        """Come so many at once; return how many got a seat."""
        return (await asyncio.gather(*(self.seats.take(ANN) for _ in range(count)))).count(True)

    async def settle(self) -> None:
        """Return when what was said so far was heard."""
        await self.line.probe(5)

    def die(self) -> None:
        """Stop as a process does that is killed: nothing is said any more."""
        assert self.seats._living is not None
        self.seats._living.cancel()


@asynccontextmanager
async def process(
    server: RedisServer, *, clock: Clock | None = None, lease: float = 30.0
) -> AsyncIterator[Process]:
    it = Process(server, clock or SystemClock(), lease=lease)
    it.line.open()
    await it.line.reach(5)
    yield it
    await it.seats.aclose()
    await it.line.aclose()


async def test_two_processes_count_together(server: RedisServer) -> None:
    """Of 200 who come at once to both, exactly as many as there are seats get one."""
    async with process(server) as one, process(server) as two:
        assert sum(await asyncio.gather(one.take(100), two.take(100))) == LIMIT
        assert await two.take(1) == 0
        one.seats.leave(ANN) if one.seats._taken[ANN] else two.seats.leave(ANN)
        await asyncio.gather(one.settle(), two.settle())
        assert sum(await asyncio.gather(one.take(3), two.take(3))) == 1


async def test_a_process_that_stops_leaves_its_seats_at_once(server: RedisServer) -> None:
    """Whoever comes back from it finds room at another."""
    async with process(server) as one, process(server) as two:
        assert await one.take(LIMIT) == LIMIT
        assert await two.take(1) == 0
        await one.seats.aclose()
        assert await two.take(LIMIT) == LIMIT


async def test_seats_of_a_killed_process_are_free_after_its_lease(server: RedisServer) -> None:
    """No sign of life, no seats; a process that lives keeps its own."""
    async with process(server, lease=0.5) as one, process(server) as two:
        assert await one.take(15) == 15
        assert await two.take(LIMIT) == 5
        one.die()
        async with asyncio.timeout(10):
            while not await two.take(1):  # noqa: ASYNC110 - a lease that ends gives no signal
                await asyncio.sleep(0.05)
        assert 1 + await two.take(LIMIT) == 15


async def test_a_process_that_stood_still_counts_again(server: RedisServer) -> None:
    """One whose sign of life was over, and whose seats were struck out, says with the next what it has."""
    clock = FakeClock()
    async with process(server, clock=clock, lease=0.3) as one, process(server) as two:
        assert await one.take(LIMIT) == LIMIT
        async with asyncio.timeout(10):
            while not await two.take(1):  # noqa: ASYNC110 - a lease that ends gives no signal
                await asyncio.sleep(0.05)
            await clock.until_sleeping()
        clock.advance(1)
        await asyncio.sleep(0)
        await one.settle()  # hears that the last sign was over
        await one.settle()  # and is heard
        assert await two.take(1) == 0


async def test_a_server_back_empty_is_told_again(server: RedisServer) -> None:
    """What Redis forgot, every process says over its next link."""
    async with process(server) as one, process(server) as two:
        assert (await one.take(12), await two.take(5)) == (12, 5)
        links = [each.line.link for each in (one, two)]
        await asyncio.to_thread(server.kill)
        await asyncio.gather(*(link.lost for link in links if link is not None))
        await asyncio.to_thread(server.start)
        for each in (one, two):
            await each.line.reach(20)
            await each.settle()
        assert await two.take(LIMIT) == LIMIT - 17


async def test_without_redis_each_process_goes_by_its_own_count(server: RedisServer) -> None:
    """A stream is not refused because nobody counts, and what came over the limit ends by itself."""
    async with process(server) as one, process(server) as two:
        assert await one.take(LIMIT) == LIMIT
        links = [each.line.link for each in (one, two)]
        await asyncio.to_thread(server.kill)
        await asyncio.gather(*(link.lost for link in links if link is not None))
        assert (await one.take(1), await two.take(LIMIT + 5)) == (0, LIMIT)
        await asyncio.to_thread(server.start)
        for each in (one, two):
            await each.line.reach(20)
            await each.settle()
        for each in (one, two):
            each.seats.leave(ANN)
            assert await each.take(1) == 0
