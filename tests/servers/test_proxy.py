"""The proxy that chaos tests rely on, seen by a client that knows nothing of it: plain blocking sockets."""

import asyncio
import contextlib
import select
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from .proxy import Fault, FaultProxy, fault_proxy

SIZE = 4000
LATE, SHORT = 0.3, 0.15
FAULTS = {
    "nothing": Fault(),
    "latency": Fault(latency=LATE),
    "bandwidth": Fault(bandwidth=int(SIZE / LATE)),
    "cut_after": Fault(cut_after=SIZE // 2),
    "silent": Fault(silent=True),
    "deaf": Fault(deaf=True),
    "refuse": Fault(refuse=True),
}
SIGNS = {
    "nothing": "whole, together",
    "latency": "whole, together, late",
    "bandwidth": "whole, in pieces, late",
    "cut_after": "half, closed",
    "silent": "nothing, open",
    "deaf": "never a word, open",
    "refuse": "reset",
}
"""What the client sees of each: no two are alike, so a fault that does another's work is noticed."""


@asynccontextmanager
async def proxied() -> AsyncIterator[FaultProxy]:
    """Run a proxy before a server that greets, and then answers each `?` with `SIZE` bytes."""

    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"!")
        with contextlib.suppress(OSError):
            while await reader.read(1):
                writer.write(b"x" * SIZE)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.create_task(answer(reader, writer)))

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server, fault_proxy(server.sockets[0].getsockname()[:2]) as proxy:
        yield proxy
    await asyncio.gather(*answering)


def greeted(port: int) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port), 10)
    assert link.recv(1) == b"!"
    return link


def ask(link: socket.socket, *, patience: float = 10) -> str:
    """Ask once and say what came."""
    began, got, arrivals = time.monotonic(), 0, []
    try:
        link.sendall(b"?")
        while got < SIZE:
            if not select.select([link], [], [], patience)[0]:
                return "a part, open" if got else "nothing, open"
            if not (data := link.recv(2 * SIZE)):
                return "half, closed" if got == SIZE // 2 - 1 else f"{got}, closed"  # the greeting was one
            got += len(data)
            arrivals.append(time.monotonic())
    except ConnectionResetError:
        return "reset"
    spread = "in pieces" if arrivals[-1] - arrivals[0] > SHORT else "together"
    late = ", late" if arrivals[-1] - began > 0.8 * LATE else ""
    return f"whole, {spread}{late}"


def come_anew(port: int, *, patience: float = 10) -> str:
    """Connect, wait for the greeting and ask; say what came."""
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        if not select.select([link], [], [], patience)[0]:
            return "never a word, open"
        try:
            return ask(link) if link.recv(1) else "closed"
        except ConnectionResetError:
            return "reset"


async def sign(proxy: FaultProxy, name: str) -> str:
    """Let a fault happen and return what a client sees: an open connection's, or else a new one's."""
    patience = 3 * LATE if name in {"silent", "deaf"} else 10
    with await asyncio.to_thread(greeted, proxy.port) as link:
        proxy.set(FAULTS[name])
        if name in {"deaf", "refuse"}:
            return await asyncio.to_thread(come_anew, proxy.port, patience=patience)
        return await asyncio.to_thread(ask, link, patience=patience)


async def until_well(proxy: FaultProxy) -> None:
    """Return when a new connection sees nothing: at once, but on a busy machine it may look late."""
    async with asyncio.timeout(30):
        while await asyncio.to_thread(come_anew, proxy.port) != SIGNS["nothing"]:
            pass


async def test_without_a_fault_nothing_happens() -> None:
    """What comes through a proxy without a fault is whole and in time, and nobody was harmed."""
    async with proxied() as proxy:
        await until_well(proxy)
        assert proxy.met == 0


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "nothing"])
async def test_a_fault_is_what_it_says(name: str) -> None:
    """A client sees of each fault its own sign, and after healing a new connection sees nothing."""
    async with proxied() as proxy:
        assert await sign(proxy, name) == SIGNS[name]
        assert (proxy.met > 0) == (name in {"cut_after", "silent", "deaf", "refuse"})
        proxy.heal()
        await until_well(proxy)


def test_no_fault_passes_for_another() -> None:
    """Whatever fault stood in for another would be noticed: their signs differ."""
    assert SIGNS.keys() == FAULTS.keys()
    assert len(set(SIGNS.values())) == len(SIGNS)


@pytest.mark.parametrize(
    ("end", "expected"), [(FaultProxy.reset, "reset"), (FaultProxy.cut, "closed")], ids=["reset", "cut"]
)
async def test_an_end_is_what_it_says(end: Callable[[FaultProxy], None], expected: str) -> None:
    """A reset is a reset and a cut is a close, for each connection that is open."""

    def see(link: socket.socket) -> str:
        try:
            return "closed" if link.recv(1) == b"" else "alive"
        except ConnectionResetError:
            return "reset"

    async with proxied() as proxy:
        links = [await asyncio.to_thread(greeted, proxy.port) for _ in range(3)]
        end(proxy)
        assert {await asyncio.to_thread(see, link) for link in links} == {expected}
        await until_well(proxy)
        for link in links:
            link.close()


async def test_a_silence_is_for_good() -> None:
    """A connection that a silence met hears nothing after it either, until it is reset."""
    async with proxied() as proxy:
        link = await asyncio.to_thread(greeted, proxy.port)
        proxy.set(FAULTS["silent"])
        assert await asyncio.to_thread(ask, link, patience=LATE) == "nothing, open"
        proxy.heal()
        assert await asyncio.to_thread(ask, link, patience=LATE) == "nothing, open"
        proxy.reset()
        assert await asyncio.to_thread(ask, link) == "reset"
        link.close()


async def test_jitter_moves_the_pieces() -> None:
    """With jitter the delays differ, around the latency, the same with the same seed."""
    proxies = [FaultProxy(("127.0.0.1", 1), seed=seed) for seed in (1, 1, 2)]
    for proxy in proxies:
        proxy.set(Fault(latency=0.2, jitter=0.1))
    one, same, other = ([proxy.late() for _ in range(50)] for proxy in proxies)
    assert one == same != other
    assert all(0.1 <= late <= 0.3 for late in one)
    assert max(one) - min(one) > 0.1
