"""The readers' side of `bench.realtime`: servers as processes of their own, and streams to them."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from media_pipeline.api.auth import Tokens
from media_pipeline.ids import UserId

SECRET = "benchmark-secret-benchmark-secret"
OURS = ("portable", "ours")
MARK = b"event: bench"
STAMP = re.compile(rb'"at":(\d+)')
POSITION = re.compile(rb"id: (\S+)")
AT_ONCE = 50


class Stream(asyncio.Protocol):
    """One reader: counts events, and notes how old they are."""

    arrived = 0
    ages: ClassVar[list[float]] = []
    opened: asyncio.Queue[bytes]

    def __init__(self, token: str, since: bytes = b"") -> None:
        since = b"Last-Event-ID: %b\r\n" % since if since else b""
        self.request = b"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n%b\r\n" % (
            token.encode(),
            since,
        )
        self.begin: bytes | None = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if self.begin is not None:
            self.begin += data
            # The last of what is sent first: its own sign of life for peers, `ready` or a replay for us.
            if self.begin.endswith((b"\n\n\r\n", b"\r\n\r\n\r\n")):
                self.opened.put_nowait(self.begin)
                self.begin = None
        Stream.arrived += data.count(MARK)
        if found := STAMP.findall(data):
            now = time.perf_counter_ns()
            self.ages.extend((now - int(at)) / 1e6 for at in found)


class Server:
    """A server's process, looked at from outside."""

    def __init__(self, name: str, env: dict[str, str]) -> None:
        self.name = name
        command = [sys.executable, "-W", "ignore", "-m", "bench.realtime_servers", name]
        environment = {**os.environ, "AUTH_JWT_SECRET": SECRET, **env}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.folder = Path(f"/proc/{self.process.pid}")
        self.tokens = Tokens(SECRET)

    def cpu(self) -> float:
        """Return the seconds that its threads were on a core."""
        return sum(
            int((task / "schedstat").read_text().split()[0]) / 1e9 for task in self.folder.glob("task/*")
        )

    def memory(self) -> float:
        """Return its proportional set size in KiB."""
        found = re.search(r"^Pss:\s+(\d+)", (self.folder / "smaps_rollup").read_text(), re.MULTILINE)
        assert found is not None
        return float(found[1])

    def token(self, user: str) -> str:
        return self.tokens.issue(UserId(user)) if self.name in OURS else user

    async def publish(self, count: int) -> None:
        """Have an event sent `count` times to everybody."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            b"POST /publish?n=%d HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            % count
        )
        assert b" 204 " in await reader.readline()
        writer.close()

    async def warm(self) -> None:
        """Return once it answers."""
        async with asyncio.timeout(20):
            while True:
                try:
                    return await self.publish(1)
                except (OSError, AssertionError):
                    await asyncio.sleep(0.05)

    async def open(
        self, count: int, *, tokens: Sequence[str], since: bytes = b""
    ) -> tuple[list[Stream], list[bytes]]:
        """Open streams, some at once, until each was greeted; return them and how they began."""
        Stream.opened = asyncio.Queue()
        loop, opened, begun = asyncio.get_running_loop(), list[Stream](), list[bytes]()
        for first in range(0, count, AT_ONCE):
            made = [Stream(tokens[n % len(tokens)], since) for n in range(first, min(first + AT_ONCE, count))]
            await asyncio.gather(
                *(loop.create_connection(lambda it=it: it, "127.0.0.1", self.port) for it in made)  # type: ignore[misc] # a bound default
            )
            opened += made
            begun += [await asyncio.wait_for(Stream.opened.get(), 20) for _ in made]
        return opened, begun


@contextmanager
def serving(name: str, **env: str) -> Iterator[Server]:
    server = Server(name, env)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


@asynccontextmanager
async def streams(server: Server, count: int, *, users: int) -> AsyncIterator[None]:
    """Hold streams open."""
    tokens = [server.token("ann" if users == 1 else f"user{number}") for number in range(users)]
    Stream.arrived, Stream.ages = 0, []
    opened, _ = await server.open(count, tokens=tokens)
    gc.freeze()  # our own pauses are nobody's lateness
    try:
        yield
    finally:
        gc.unfreeze()
        for stream in opened:
            stream.transport.abort()


async def until_arrived(count: int) -> None:
    async with asyncio.timeout(60):
        while Stream.arrived < count:  # noqa: ASYNC110 - an event would be set at each of a million arrivals
            await asyncio.sleep(0)
