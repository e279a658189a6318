"""A stream that owns its connection: between the hub and the socket nothing is left.

The lean outlet: no parser, task, request or ASGI message stays behind it, and the kernel's buffer of a
reader that stands still is bounded too. It needs a server that gives a connection away, see
`api/server_protocol.py`; `realtime/push.py` is for every other. Follows RFC 9112, sections 7.1 and 9.6.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import ClassVar, Final, Protocol

from media_pipeline.realtime.connection import Connection

SEND_BUFFER: Final = 32 * 1024
"""What the kernel may hold of a reader's bytes (Linux doubles it for its own books); else it is 4 MiB."""
UNACKNOWLEDGED_MS: Final = 30_000
"""After how long a machine that does not acknowledge is given up."""
LAST_CHUNK_SECONDS: Final = 1.0
"""How long a reader that stands still may hold up the end of its own stream."""
_LAST_CHUNK: Final = b"0\r\n\r\n"
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Detachable(Protocol):
    """What a server puts under `EXTENSION` into a scope whose connection it can give away."""

    def may_detach(self) -> bool:
        """Tell whether this request is whole, alone on its connection and not answered yet."""
        ...

    def detach(self, stream: Detached, headers: Headers) -> None:
        """Give the connection to `stream`, at once and for good."""
        ...


EXTENSION: Final = "media_pipeline.detach"
Headers = tuple[tuple[bytes, bytes], ...]


class Detached(asyncio.Protocol):
    """An outlet over a transport of its own, from `own` on; `connection` hears what becomes of it."""

    __slots__ = ("_chunked", "_head", "_paused", "_siblings", "_transport", "connection")

    _framed: ClassVar[tuple[bytes, bytes]] = (b"", b"")
    """The last bytes and their chunk: a frame goes to many readers, its chunk is made once."""

    connection: Connection
    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._head = b""
        self._chunked = False
        self._paused = False
        self._siblings: set[asyncio.Protocol] = set()

    def own(
        self, transport: asyncio.Transport, head: bytes, *, chunked: bool, siblings: set[asyncio.Protocol]
    ) -> None:
        """Take over; `head` goes out with the first bytes, `siblings` are the server's connections."""
        self._transport = transport
        self._head = head
        self._chunked = chunked
        self._siblings = siblings
        siblings.add(self)
        transport.set_protocol(self)
        # What the kernel does not take at once waits in the backlog, where it can be conflated.
        transport.set_write_buffer_limits(high=0)
        _bound(transport)

    def write(self, data: bytes) -> bool:
        if self._chunked:
            framed = Detached._framed
            if framed[0] is not data:
                framed = Detached._framed = (data, b"%x\r\n%b\r\n" % (len(data), data))
            data = framed[1]
        if self._head:
            data, self._head = self._head + data, b""
        self._transport.write(data)
        return not self._paused

    def waiting(self) -> int:
        return self._transport.get_write_buffer_size()

    def end(self) -> None:
        last = self._head + (_LAST_CHUNK if self._chunked else b"")
        if last:
            self._transport.write(last)
        self._transport.close()
        if self._transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(LAST_CHUNK_SECONDS, self._give_up)

    def abort(self) -> None:
        # A reset: otherwise the kernel goes on offering what it holds to a reader that takes nothing.
        _link(self._transport).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    def shutdown(self) -> None:
        """End, when the server asks every connection to."""
        self.connection.end("stopping")

    def refuse(self) -> None:
        """End: whoever says more after the request cannot be answered on a stream."""
        self.connection.end("pipelined")

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - whatever it is
        self.refuse()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.connection.resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - gone is gone
        self._siblings.discard(self)
        self.connection.close()

    def _give_up(self) -> None:
        if self in self._siblings:
            self.abort()


def _bound(transport: asyncio.Transport) -> None:
    link = _link(transport)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if _USER_TIMEOUT is not None and link.family in _INTERNET:
        link.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, UNACKNOWLEDGED_MS)


def _link(transport: asyncio.Transport) -> socket.socket:
    link: socket.socket = transport.get_extra_info("socket")
    return link
