"""From a worker through Redis to browsers: how late, at what price, and what is lost."""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.servers.redis import redis_server

from bench.realtime_clients import OURS, Server, Stream, serving, streams
from media_pipeline.clock import SystemClock
from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.bus import Message
from media_pipeline.realtime.redis import RedisBus
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.realtime.sse import encode_frame
from media_pipeline.redis_url import RedisUrl

PEERS = ("pubsub", "broadcaster", "litestar", "litestar-stream", "ours")
USERS = 100
RATE = 200
ROUNDS = 3
PATIENCE = 40.0
"""Seconds that a server has for a round beside the load itself; one that needs more is asked for less."""
SMALLEST = 50
QUIET = 2.0
Tell = Callable[[str, bytes], Awaitable[object]]


@dataclass
class RedisFigures:
    """What each server did in each round."""

    users: int = USERS
    rounds: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    @property
    def rivals(self) -> list[str]:
        """Who was measured beside us in every round, and lost nothing."""
        rounds = len(self.rounds.get("ours", ()))
        return [name for name in self.rounds if name not in OURS and self._is_sound(name, rounds)]

    def rows(self) -> dict[str, dict[str, float]]:
        return {name: self._middle(rounds) for name, rounds in self.rounds.items()}

    def against_best_peer(self, column: str) -> float:
        """Return the median over the rounds of ours for the best of the rivals."""
        ratios = [
            ours[column] / min(self.rounds[name][number][column] for name in self.rivals)
            for number, ours in enumerate(self.rounds["ours"])
        ]
        return statistics.median(ratios)

    def lost(self, name: str) -> float:
        return sum(one["lost"] for one in self.rounds[name])

    def _is_sound(self, name: str, rounds: int) -> bool:
        return len(self.rounds[name]) == rounds and not self.lost(name)

    def _middle(self, rounds: list[dict[str, float]]) -> dict[str, float]:
        middle = {column: statistics.median(one[column] for one in rounds) for column in rounds[0]}
        return {**middle, "lost": sum(one["lost"] for one in rounds)}


@dataclass(frozen=True)
class CrowdFigures:
    """One stream for each of many users."""

    users: int
    p50_ms: float
    p99_ms: float
    cpu_percent: float
    relay_percent: float
    lost: float


async def measure_redis(names: list[str], count: int, *, seconds: float, rounds: int) -> RedisFigures:
    """Let the servers take turns, each with a Redis of its own; who breaks gets fewer streams."""
    figures, sizes = RedisFigures(), dict.fromkeys(names, count)
    for _ in range(rounds):
        for name in names:
            while sizes[name] >= min(SMALLEST, count):
                one = await _try(name, sizes[name], users=USERS, rate=RATE, seconds=seconds)
                if one is not None:
                    figures.rounds.setdefault(name, []).append(one)
                    break
                sizes[name] //= 4
    return figures


async def measure_crowd(users: int, *, seconds: float, rate: int = 1000) -> CrowdFigures | None:
    """Send to `users` users with one stream each; None where that took too long.

    The same is asked of a bare relay: what a core of this machine needs for it at the least.
    """
    one = await _try("ours", users, users=users, rate=rate, seconds=seconds)
    floor = await _try("relay", users, users=users, rate=rate, seconds=seconds)
    if one is None or floor is None:
        return None
    return CrowdFigures(users, one["p50 ms"], one["p99 ms"], one["CPU %"], floor["CPU %"], one["lost"])


async def _try(name: str, count: int, *, users: int, rate: int, seconds: float) -> dict[str, float] | None:
    """Measure within a bounded time; say why not, and return None."""
    try:
        async with asyncio.timeout(PATIENCE + seconds):
            with _running(name) as (server, url):
                await server.warm()
                return await _measure(server, url, count, users=users, rate=rate, seconds=seconds)
    except (TimeoutError, OSError, statistics.StatisticsError) as error:
        print(f"{name} broke with {count} streams: {error!r}")
        return None


@contextmanager
def _running(name: str) -> Iterator[tuple[Server, str]]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"redis://127.0.0.1:{port}"
    with redis_server("--port", str(port), "--bind", "127.0.0.1"), serving(name, REDIS_URL=url) as server:
        yield server, url


async def _measure(
    server: Server, url: str, count: int, *, users: int, rate: int, seconds: float
) -> dict[str, float]:
    async with TELLERS[server.name](url) as tell:
        return await _send(server, tell, count, users=users, rate=rate, seconds=seconds)


async def _send(
    server: Server, tell: Tell, count: int, *, users: int, rate: int, seconds: float
) -> dict[str, float]:
    async with streams(server, count, users=users):
        await asyncio.sleep(0.5)
        cpu, began, sent = server.cpu(), time.perf_counter(), 0
        while (now := time.perf_counter() - began) < seconds:
            while sent < now * rate:
                data = b'{"at":%d,"pad":"%b"}' % (time.perf_counter_ns(), b"x" * 170)
                await tell(f"user{sent % users}", data)
                sent += 1
            await asyncio.sleep(0.001)  # less is none at all to uvloop, and a core that only turns
        spent = server.cpu() - cpu
        told = [len(range(user, sent, users)) for user in range(users)]
        expected = sum(times * len(range(user, count, users)) for user, times in enumerate(told))
        ages = sorted(await _arrived(expected))
    return {
        "streams": count,
        "p50 ms": statistics.median(ages),
        "p99 ms": ages[int(len(ages) * 0.99)],
        "µs/delivery": spent / len(ages) * 1e6,
        "CPU %": spent / seconds * 100,
        "lost": expected - len(ages),
    }


async def _arrived(expected: int) -> list[float]:
    """Return the ages of what came, once all did or nothing more comes."""
    seen, since = -1, time.perf_counter()
    while len(Stream.ages) < expected and time.perf_counter() < since + QUIET:
        if len(Stream.ages) > seen:
            seen, since = len(Stream.ages), time.perf_counter()
        await asyncio.sleep(0.05)
    return Stream.ages


@asynccontextmanager
async def _ours(url: str) -> AsyncIterator[Tell]:
    bus = RedisBus(RedisLine(RedisUrl.parse(url), clock=SystemClock()), clock=SystemClock())

    async def tell(user: str, data: bytes) -> None:
        key = str(time.perf_counter_ns())
        await bus.publish(Message(UserId(user), JobId("j"), encode_frame("bench", data), key))

    try:
        yield tell
    finally:
        await bus.aclose()


@asynccontextmanager
async def _pubsub(url: str) -> AsyncIterator[Tell]:
    from redis.asyncio import Redis  # noqa: PLC0415 - a peer's own

    async with Redis.from_url(url) as redis:
        yield redis.publish


@asynccontextmanager
async def _broadcaster(url: str) -> AsyncIterator[Tell]:
    from broadcaster import Broadcast  # noqa: PLC0415 - a peer's own

    async with Broadcast(url) as broadcast:
        yield broadcast.publish


def _litestar(backend: str) -> Callable[[str], AbstractAsyncContextManager[Tell]]:
    @asynccontextmanager
    async def telling(url: str) -> AsyncIterator[Tell]:
        from litestar.channels.backends import redis as backends  # noqa: PLC0415 - a peer's own
        from redis.asyncio import Redis  # noqa: PLC0415 - a peer's own

        async with Redis.from_url(url) as redis:
            publish = getattr(backends, backend)(redis=redis, **HISTORY.get(backend, {})).publish
            yield lambda user, data: publish(data, [user])

    return telling


HISTORY: Final = {"RedisChannelsStreamBackend": {"history": 1000}}
TELLERS: Final[dict[str, Callable[[str], AbstractAsyncContextManager[Tell]]]] = {
    "ours": _ours,
    "relay": _pubsub,
    "pubsub": _pubsub,
    "broadcaster": _broadcaster,
    "litestar": _litestar("RedisChannelsPubSubBackend"),
    "litestar-stream": _litestar("RedisChannelsStreamBackend"),
}
"""How an event is sent to one user: by whatever each offers who sends."""
