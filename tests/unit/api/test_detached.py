"""A stream that owns its transport: what it writes, when it waits, how it ends."""

import asyncio
import socket
import struct
from typing import Any

import pytest

from media_pipeline.api import detached
from media_pipeline.api.detached import SEND_BUFFER, Detached

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class FakeSocket:
    family = socket.AF_INET

    def __init__(self) -> None:
        self.options: dict[tuple[int, int], int | bytes] = {}

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        self.options[level, name] = value


class FakeTransport(asyncio.Transport):
    """What a loop gives; `unsent` bytes stay in its buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.socket = FakeSocket()
        self.writes: list[bytes] = []
        self.unsent = 0
        self.fate = asyncio.Queue[str]()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.socket if name == "socket" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: Any) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.fate.put_nowait("closed")

    def abort(self) -> None:
        self.fate.put_nowait("aborted")


class Connection:
    """The hub's side of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def resume(self) -> None:
        self.calls.append("resume")

    def close(self) -> None:
        self.calls.append("close")

    def end(self, reason: str) -> None:
        self.calls.append(f"end {reason}")


def owning(*, chunked: bool = True) -> tuple[Detached, FakeTransport]:
    stream, transport = Detached(), FakeTransport()
    stream.connection = Connection()  # type: ignore[assignment] # what of it is called
    stream.own(transport, HEAD, chunked=chunked, siblings=set())
    return stream, transport


@pytest.fixture
async def stream() -> Detached:
    return owning()[0]


async def test_the_head_leaves_with_the_first_bytes() -> None:
    """Status, headers and what the stream begins with are one write; later ones are chunks of their own."""
    stream, transport = owning()
    stream.write(b"hello")
    stream.write(b"x" * 16)
    assert transport.writes == [HEAD + b"5\r\nhello\r\n", b"10\r\n" + b"x" * 16 + b"\r\n"]


async def test_a_shared_frame_is_one_chunk_for_all() -> None:
    """The chunk of a frame that many readers get is made once."""
    streams = [owning() for _ in range(3)]
    for stream, _ in streams:
        stream.write(b"begin")
    frame = b"a frame"
    for stream, _ in streams:
        stream.write(frame)
    first, *others = [transport.writes[-1] for _, transport in streams]
    assert all(other is first for other in others)


async def test_an_old_client_gets_no_chunks() -> None:
    """HTTP/1.0 knows no chunks: bytes go out as they are and the end is the connection's."""
    stream, transport = owning(chunked=False)
    stream.write(b"hello")
    stream.end()
    assert (transport.writes, transport.fate.get_nowait()) == ([HEAD + b"hello"], "closed")


async def test_a_full_socket_asks_to_wait_and_tells_when_it_goes_on() -> None:
    """While the loop says that the kernel takes no more, `write` returns False; then the hub is told."""
    stream, _ = owning()
    assert stream.write(b"a")
    stream.pause_writing()
    assert not stream.write(b"b")
    stream.resume_writing()
    assert stream.write(b"c")
    assert stream.connection.calls == ["resume"]  # type: ignore[attr-defined] # the double's


async def test_the_kernel_is_kept_from_hoarding() -> None:
    """The socket's buffer is bounded, nothing waits in user space, and a dead machine is given up."""
    _, transport = owning()
    assert transport.high == 0
    assert transport.socket.options[socket.SOL_SOCKET, socket.SO_SNDBUF] == SEND_BUFFER
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        assert transport.socket.options[socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT] == 30_000


@pytest.mark.parametrize("begun", [True, False])
async def test_the_end_is_a_last_chunk(*, begun: bool) -> None:
    """`end` says the last chunk, after the head if nothing was said yet, and closes."""
    stream, transport = owning()
    if begun:
        stream.write(b"hello")
    stream.end()
    assert b"".join(transport.writes).startswith(HEAD)
    assert transport.writes[-1].endswith(b"0\r\n\r\n")
    assert transport.fate.get_nowait() == "closed"


async def test_an_end_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes nothing more loses its clean end after a moment; others are not aborted."""
    monkeypatch.setattr(detached, "LAST_CHUNK_SECONDS", 0.01)
    (stuck, transport), (prompt, other) = owning(), owning()
    transport.unsent = 1
    stuck.end()
    prompt.end()
    async with asyncio.timeout(5):
        assert [await transport.fate.get(), await transport.fate.get()] == ["closed", "aborted"]
    assert other.fate.qsize() == 1


async def test_an_abort_leaves_nothing_in_the_kernel(stream: Detached) -> None:
    """What a stopped reader has not taken is thrown away with a reset, not offered for minutes more."""
    transport = stream._transport
    assert isinstance(transport, FakeTransport)
    stream.abort()
    assert transport.socket.options[socket.SOL_SOCKET, socket.SO_LINGER] == struct.pack("ii", 1, 0)
    assert transport.fate.get_nowait() == "aborted"


async def test_what_becomes_of_the_connection_is_told(stream: Detached) -> None:
    """A reader that leaves, one that says more, and a server that stops reach the hub."""
    stream.data_received(b"GET / HTTP/1.1\r\n")
    stream.shutdown()
    stream.connection_lost(None)
    assert stream.connection.calls == ["end pipelined", "end stopping", "close"]  # type: ignore[attr-defined]
