"""Buses over a server that tests maltreat, one for each process of a deployment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from media_pipeline.clock import SystemClock
from media_pipeline.realtime.redis import RedisBus
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.redis_url import RedisUrl
from tests.servers.redis import RedisServer


@dataclass
class Process:
    """What one process of a deployment has of Redis."""

    line: RedisLine
    bus: RedisBus

    async def until_relinked(self) -> None:
        """Return when the link of now is lost and another is up."""
        if self.line.link is not None:
            await self.line.link.lost
        while self.line.link is None or self.line.link.lost.done():
            await asyncio.sleep(0)
            await self.line.reach(5)


@asynccontextmanager
async def process(
    server: RedisServer, *, history: int = 1000, patience: float = 5.0, ping_seconds: float = 0.1
) -> AsyncIterator[Process]:
    line = RedisLine(RedisUrl.parse(server.url), clock=SystemClock(), ping_seconds=ping_seconds)
    bus = RedisBus(line, clock=SystemClock(), history=history, patience=patience)
    try:
        await line.reach(5)
        yield Process(line, bus)
    finally:
        await bus.aclose()
