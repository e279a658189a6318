"""Readers of a real service over raw sockets: they stop, are cut, and come back where they were."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cache

from media_pipeline.api.auth import Tokens
from media_pipeline.ids import UserId
from media_pipeline.realtime.sse import Decoder, ServerSentEvent
from tests.acceptance.process import SECRET, Service

TOKENS = Tokens(SECRET)
token_of = cache(TOKENS.issue)
"""Clients keep their token."""


def request(user: UserId, since: str = "") -> bytes:
    position = f"Last-Event-ID: {since}\r\n" if since else ""
    token = token_of(user)
    return f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{position}\r\n".encode()


class Chunks:
    """The body of a chunked answer, however it is cut; `ended` once its last chunk has come."""

    def __init__(self) -> None:
        self.ended = False
        self._data = b""
        self._in_head = True

    def feed(self, data: bytes) -> Iterable[bytes]:
        self._data += data
        if self._in_head:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 200 "), head
            self._in_head, self._data = False, rest
        while (end := self._data.find(b"\r\n")) >= 0:
            size = int(self._data[:end], 16)
            if len(self._data) < end + size + 4:
                return
            self.ended = size == 0
            yield self._data[end + 2 : end + 2 + size]
            self._data = self._data[end + size + 4 :]


class Reader(asyncio.Protocol):
    """One user's stream, over as many connections as it takes."""

    def __init__(self, user: UserId, *, hear: Callable[[ServerSentEvent], None] | None = None) -> None:
        self.user = user
        self.events: list[ServerSentEvent] = []
        self.since = ""
        self.retry_ms = 0
        self.opened = asyncio.Event()
        self.lost = asyncio.Event()
        self.ended = 0
        self._hear = hear or self.events.append
        self._waiting: tuple[str, asyncio.Event] | None = None

    async def open(self, port: int) -> None:
        """Connect, from the position reached, and return once the stream has begun."""
        self.opened.clear()
        self.lost.clear()
        self._chunks, self._decoder = Chunks(), Decoder()
        self._decoder.last_event_id = self.since
        self._transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: self, "127.0.0.1", port
        )
        self._transport.write(request(self.user, self.since))
        async with asyncio.timeout(30):
            await self.opened.wait()

    def cut(self) -> None:
        """Break the connection."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        for body in self._chunks.feed(data):
            self.opened.set()
            for event in self._decoder.feed(body):
                self._hear(event)
            self.since = self._decoder.last_event_id
            self.retry_ms = self._decoder.retry_ms or self.retry_ms
        if self._waiting is not None and self._waiting[0] in self.keys[-20:]:
            self._waiting[1].set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended += self._chunks.ended
        self.opened.set()
        self.lost.set()

    @property
    def keys(self) -> list[str]:
        """The changes of state that were told, as `recorder.state` names them."""
        return [event.data.strip('" ') for event in self.events if event.event == "happened"]

    @property
    def resets(self) -> int:
        return sum(event.event == "reset" for event in self.events)

    async def until(self, key: str) -> None:
        """Wait for a change of state."""
        self._waiting = key, asyncio.Event()
        if key not in self.keys[-20:]:
            async with asyncio.timeout(30):
                await self._waiting[1].wait()
        self._waiting = None


@asynccontextmanager
async def stopped(service: Service, users: Iterable[UserId]) -> AsyncIterator[list[socket.socket]]:
    """Begin a stream for each user and read nothing of it, with next to no room of our own."""
    links = []
    for user in users:
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.connect(("127.0.0.1", port_of(service)))
        link.sendall(request(user))
        links.append(link)
    for link in links:
        # The stream has begun.
        await asyncio.to_thread(link.recv, 1)
    try:
        yield links
    finally:
        for link in links:
            link.close()


def port_of(service: Service) -> int:
    return int(service.address.rpartition(":")[2])
