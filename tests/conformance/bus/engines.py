"""The engines that must keep the promises of `Bus`: one line each."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from media_pipeline.clock import SystemClock
from media_pipeline.realtime.bus import Bus
from media_pipeline.realtime.memory import MemoryBus

HISTORY = 64
"""How many state messages of a user an engine under test keeps at least."""

Engine = Callable[[], AbstractAsyncContextManager[Bus]]


@asynccontextmanager
async def memory() -> AsyncIterator[Bus]:
    bus = MemoryBus(clock=SystemClock(), history=HISTORY)
    yield bus
    await bus.aclose()


ENGINES: Mapping[str, Engine] = {"memory": memory}
