"""What `Seats` promises, of one process alone and of several over Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

import pytest

from media_pipeline.clock import SystemClock
from media_pipeline.ids import UserId
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.realtime.redis_seats import RedisSeats
from media_pipeline.realtime.seats import OwnSeats, Seats
from media_pipeline.redis_url import RedisUrl
from tests.servers.redis import shared_url

ANN, BOB = UserId("ann"), UserId("bob {}\ud800")


@asynccontextmanager
async def own() -> AsyncIterator[Seats]:
    yield OwnSeats(3)


@asynccontextmanager
async def redis() -> AsyncIterator[Seats]:
    line = RedisLine(RedisUrl.parse(shared_url()), clock=SystemClock())
    seats = RedisSeats(line, limit=3, clock=SystemClock(), prefix=f"test-{uuid4()}")
    line.open()
    await line.reach(5)
    yield seats
    await seats.aclose()
    await line.aclose()


ENGINES: Mapping[str, Callable[[], AbstractAsyncContextManager[Seats]]] = {"own": own, "redis": redis}


@pytest.fixture(params=list(ENGINES))
async def seats(request: pytest.FixtureRequest) -> AsyncIterator[Seats]:
    async with ENGINES[request.param]() as engine:
        yield engine


async def test_seats_are_taken_up_to_the_limit(seats: Seats) -> None:
    """Of many who come at once exactly as many as there are seats get one."""
    taken = await asyncio.gather(*(seats.take(ANN) for _ in range(50)))
    assert taken.count(True) == 3
    assert not await seats.take(ANN)


async def test_a_seat_left_is_free(seats: Seats) -> None:
    """Whoever leaves makes room for one, and not for two."""
    for _ in range(3):
        assert await seats.take(ANN)
    seats.leave(ANN)
    assert await seats.take(ANN)
    assert not await seats.take(ANN)


async def test_users_have_their_own_seats(seats: Seats) -> None:
    """What one user holds is nothing to another, whatever their names are."""
    for _ in range(3):
        assert await seats.take(ANN)
    assert await seats.take(BOB)
    seats.leave(BOB)
    assert not await seats.take(ANN)
