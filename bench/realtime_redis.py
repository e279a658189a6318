"""From a worker through Redis to browsers: how late, at what price, and what is lost."""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.servers.redis import redis_server

from bench.realtime_clients import OURS, Server, Stream, serving, streams
from media_pipeline.clock import SystemClock
from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.bus import Message
from media_pipeline.realtime.redis import RedisBus
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.realtime.redis_link import Link
from media_pipeline.realtime.sse import encode_frame
from media_pipeline.redis_url import RedisUrl

PEERS = ("pubsub", "broadcaster", "litestar", "litestar-stream", "ours")
USERS = 100
RATE = 200
ROUNDS = 3
Tell = Callable[[str, bytes], Awaitable[object]]


@dataclass
class RedisFigures:
    """What each server did in each round."""

    users: int = USERS
    rounds: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def rows(self) -> dict[str, dict[str, float]]:
        return {name: self._middle(rounds) for name, rounds in self.rounds.items()}

    def against_best_peer(self, column: str) -> float:
        """Return the median over the rounds of ours for the best of the others that lost nothing."""
        sound = [name for name in self.rounds if name not in OURS and not self.lost(name)]
        ratios = [
            ours[column] / min(self.rounds[name][number][column] for name in sound)
            for number, ours in enumerate(self.rounds["ours"])
        ]
        return statistics.median(ratios)

    def lost(self, name: str) -> float:
        return sum(one["lost"] for one in self.rounds[name])

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
    lost: float


async def measure_redis(names: list[str], count: int, *, seconds: float) -> RedisFigures:
    """Let the servers take turns, each with a Redis of its own."""
    figures = RedisFigures()
    for _ in range(ROUNDS):
        for name in names:
            with _running(name) as (server, url):
                await server.warm()
                one = await _measure(server, url, count, users=USERS, rate=RATE, seconds=seconds)
            figures.rounds.setdefault(name, []).append(one)
    return figures


async def measure_crowd(users: int, *, seconds: float, rate: int = 1000) -> CrowdFigures:
    """Send to `users` users with one stream each."""
    with _running("ours") as (server, url):
        await server.warm()
        one = await _measure(server, url, users, users=users, rate=rate, seconds=seconds)
    return CrowdFigures(users, one["p50 ms"], one["p99 ms"], one["CPU %"], one["lost"])


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
    line = RedisLine(RedisUrl.parse(url), clock=SystemClock())
    bus = RedisBus(line, clock=SystemClock())
    tell = _teller(server.name, bus, await line.reach(5))
    async with streams(server, count, users=users):
        await asyncio.sleep(0.5)
        cpu, began, sent = server.cpu(), time.perf_counter(), 0
        while (now := time.perf_counter() - began) < seconds:
            while sent < now * rate:
                data = b'{"at":%d,"pad":"%b"}' % (time.perf_counter_ns(), b"x" * 170)
                await tell(f"user{sent % users}", data)
                sent += 1
            await asyncio.sleep(0.0005)
        spent = server.cpu() - cpu
        await asyncio.sleep(0.5)
        ages = sorted(Stream.ages)
    await bus.aclose()
    return {
        "p50 ms": statistics.median(ages),
        "p99 ms": ages[int(len(ages) * 0.99)],
        "µs/delivery": spent / len(ages) * 1e6,
        "CPU %": spent / seconds * 100,
        "lost": sent * count / users - len(ages),
    }


def _teller(name: str, bus: RedisBus, link: Link) -> Tell:
    """Return how an event is sent to one user, each in the way that its server listens for."""

    async def ours(user: str, data: bytes) -> None:
        key = str(time.perf_counter_ns())
        await bus.publish(Message(UserId(user), JobId("j"), encode_frame("bench", data), key))

    async def publish(user: str, data: bytes) -> object:
        return await link.ask("PUBLISH", user, data)

    async def append(user: str, data: bytes) -> object:
        key = f"LITESTAR_CHANNELS_{user.upper()}"
        return await link.ask("XADD", key, "MAXLEN", "~", 1000, "*", "data", data, "channel", user)

    return ours if name in OURS else append if name == "litestar-stream" else publish
