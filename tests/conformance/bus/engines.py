"""The engines that must keep the promises of `Bus`: one line each."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

from media_pipeline.clock import SystemClock
from media_pipeline.realtime.bus import Bus
from media_pipeline.realtime.memory import MemoryBus
from media_pipeline.realtime.redis import RedisBus
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.redis_url import RedisUrl
from tests.servers.redis import shared_url

HISTORY = 64
"""How many state messages of a user an engine under test keeps at least."""

Engine = Callable[[], AbstractAsyncContextManager[Bus]]


@asynccontextmanager
async def memory() -> AsyncIterator[Bus]:
    bus = MemoryBus(clock=SystemClock(), history=HISTORY)
    yield bus
    await bus.aclose()


@asynccontextmanager
async def redis() -> AsyncIterator[Bus]:
    line = RedisLine(RedisUrl.parse(shared_url()), clock=SystemClock())
    bus = RedisBus(line, clock=SystemClock(), history=HISTORY, max_age=60, prefix=f"test-{uuid4()}")
    await line.reach(5)
    yield bus
    await bus.aclose()


ENGINES: Mapping[str, Engine] = {"memory": memory, "redis": redis}
