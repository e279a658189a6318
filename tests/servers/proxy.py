"""A TCP proxy that maltreats what goes through it, as networks do; switched while it runs.

It stands between the program and one thing it depends on. It knows bytes and connections only, and
imports nothing of the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

Address = tuple[str, int] | Path
PIECE: Final = 16 * 1024
_NO_LINGER: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to connections as long as it is on; the plain one harms nothing.

    `latency` and `jitter` are seconds that each piece is late; `bandwidth` is bytes a second, each way;
    `cut_after` is how many bytes of an answer come before the connection ends. `silent`: nothing goes
    through any more, while connections stay open, and those it met stay so for good. `deaf`: new
    connections are taken and lead nowhere. `refuse`: new ones end at once.
    """

    latency: float = 0.0
    jitter: float = 0.0
    bandwidth: int | None = None
    cut_after: int | None = None
    silent: bool = False
    deaf: bool = False
    refuse: bool = False


class FaultProxy:
    """Pass every connection on to `target`; `port` is where it listens."""

    def __init__(self, target: Address, *, seed: int = 0) -> None:
        self.port = 0
        self.met = 0
        """How many connections the faults so far have harmed."""
        self._target = target
        self._fault = Fault()
        self._dice = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._passages: set[_Passage] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
        self.reset()
        await asyncio.gather(*self._serving)

    def set(self, fault: Fault) -> None:
        """From now on let `fault` happen, to open connections as well."""
        self._fault = fault
        for passage in self._passages:
            passage.meet(fault)

    def heal(self) -> None:
        """Let everything through again, but for what a silence has met."""
        self.set(Fault())

    def reset(self) -> None:
        """End every connection with a reset (RST)."""
        for passage in tuple(self._passages):
            passage.break_off()

    def cut(self) -> None:
        """End every connection as a peer does that closes it (FIN)."""
        for passage in tuple(self._passages):
            passage.hang_up()

    def late(self) -> float:
        """Return how many seconds a piece is late now."""
        return self._fault.latency + self._dice.uniform(-1, 1) * self._fault.jitter

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passage = _Passage(self, writer)
        self._passages.add(passage)
        passage.meet(self._fault)
        try:
            if self._fault.refuse:
                self.met += 1
                passage.break_off()
            elif self._fault.deaf:
                self.met += 1
                await passage.ended.wait()
            else:
                await passage.run(reader, self._target)
        except OSError:
            passage.break_off()
        finally:
            await passage.aclose()
            self._passages.discard(passage)


class _Passage:
    """One connection, both sides of it."""

    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter) -> None:
        self.ended = asyncio.Event()
        self._proxy = proxy
        self._writers = [client]
        self._fault = Fault()
        self._dumb = False

    def meet(self, fault: Fault) -> None:
        self._fault = fault
        if fault.silent and not self._dumb:
            self._dumb = True
            self._proxy.met += 1

    async def run(self, reader: asyncio.StreamReader, target: Address) -> None:
        there, writer = await _connect(target)
        self._writers.append(writer)
        pumps = [
            asyncio.create_task(self._pump(reader, writer)),
            asyncio.create_task(self._pump(there, self._writers[0], answers=True)),
        ]
        ending = asyncio.create_task(self.ended.wait())
        await asyncio.wait([*pumps, ending], return_when=asyncio.FIRST_COMPLETED)
        for task in (*pumps, ending):
            task.cancel()
        await asyncio.gather(*pumps, ending, return_exceptions=True)

    def break_off(self) -> None:
        for writer in self._writers:
            link: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            writer.transport.abort()
        self.ended.set()

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
        self.ended.set()

    async def aclose(self) -> None:
        self.hang_up()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        passed = 0
        while data := await reader.read(PIECE):
            if (late := self._proxy.late()) > 0:
                await asyncio.sleep(late)
            while data and not self._dumb:
                piece, data = await self._pay(data)
                limit = self._fault.cut_after if answers else None
                if limit is not None and passed + len(piece) >= limit:
                    self._proxy.met += 1
                    writer.write(piece[: limit - passed])
                    return
                passed += len(piece)
                writer.write(piece)
                await writer.drain()
            if self._dumb:
                await self.ended.wait()

    async def _pay(self, data: bytes) -> tuple[bytes, bytes]:
        """Return as much as may go now, and the rest, when its time at this bandwidth is over."""
        bandwidth = self._fault.bandwidth
        if bandwidth is None:
            return data, b""
        size = max(1, bandwidth // 20)
        await asyncio.sleep(min(size, len(data)) / bandwidth)
        return data[:size], data[size:]


async def _connect(target: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(target, Path):
        return await asyncio.open_unix_connection(str(target))
    return await asyncio.open_connection(*target)


@asynccontextmanager
async def fault_proxy(target: Address, *, seed: int = 0) -> AsyncIterator[FaultProxy]:
    """Run a proxy in front of `target`."""
    proxy = FaultProxy(target, seed=seed)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.aclose()
