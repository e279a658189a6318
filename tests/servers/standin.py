"""What the servers that stand in for providers share: a socket, faults, a count of what was charged.

A server here speaks one provider's wire format and knows nothing of the program under test. A test may put a
`Fault` in the way of the next request that begins with a given line, and wait until a request came.
"""

from __future__ import annotations

import asyncio
import functools
import io
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from fractions import Fraction
from typing import Any, Self, cast

import av
import numpy as np
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Event

Fault = Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]]
Json = dict[str, Any]


@dataclass(eq=False)
class ProviderServer:
    """A provider's API on a port of its own; `charged` counts the calls that a real one would bill."""

    charged: int = 0
    lines: list[str] = field(default_factory=list)
    """Every request so far, such as `POST /v1/videos`."""
    open: int = 0
    """Requests that are being answered at this moment."""
    url: str = ""
    _faults: list[tuple[str, Fault]] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def app(self) -> Starlette:
        """Return the routes."""
        raise NotImplementedError

    def fail(self, line: str, *faults: Fault) -> None:
        """Let the next requests that begin with `line` meet these faults, one each."""
        self._faults += [(line, fault) for fault in faults]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; it is looked at whenever something happened."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(condition)

    async def seen(self, line: str, *, times: int = 1) -> None:
        """Wait until so many requests that begin with `line` have come."""
        await self.until(lambda: sum(each.startswith(line) for each in self.lines) >= times)

    async def tell(self) -> None:
        """Let those who wait look again."""
        async with self._changed:
            self._changed.notify_all()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Answer on a free port of this machine until the block ends."""
        server = Listener(self._guarded(self.app()))
        task = asyncio.create_task(server.serve())
        try:
            await server.ready.wait()
            self.url = f"http://127.0.0.1:{server.port}"
            yield self
        finally:
            server.over.set()
            await task

    def _guarded(self, app: ASGIApp) -> ASGIApp:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                return
            line = f"{scope.get('method', 'WS')} {scope['path']}"
            self.lines.append(line)
            self.open += 1
            await self.tell()
            try:
                await self._take_fault(line)(app, scope, receive, send)
            finally:
                self.open -= 1
                await self.tell()

        return answer

    def _take_fault(self, line: str) -> Fault:
        for place, (start, fault) in enumerate(self._faults):
            if line.startswith(start):
                del self._faults[place]
                return fault
        return _as_always


class Listener(uvicorn.Server):
    """One server in the loop of the test, without signals and logs."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="websockets-sansio", http="h11")
        )
        self.ready, self.over = asyncio.Event(), asyncio.Event()

    @property
    def port(self) -> int:
        return int(self.servers[0].sockets[0].getsockname()[1])

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.over.wait()

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        for each in self.servers:
            each.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _as_always(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def answers(status: int, body: object, **headers: str) -> Fault:
    """Answer this instead: JSON, or a text as it is; `Retry-After` is written `retry_after`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        response = (
            Response(body, status, named) if isinstance(body, str) else JSONResponse(body, status, named)
        )
        await response(scope, receive, send)

    return fault


def html(status: int) -> Fault:
    """Answer as the proxy in front of a provider does when that is away."""
    page = f"<html><head><title>{status}</title></head><body><center>nginx</center></body></html>"
    return answers(status, page, content_type="text/html")


def garbled() -> Fault:
    """Answer 200 with JSON that ends in the middle."""
    return answers(200, '{"id": "vid', content_type="application/json")


def dropped() -> Fault:
    """Close the connection without an answer, before anything was done."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        abort(send)

    return fault


def lost() -> Fault:
    """Do what was asked, and close the connection instead of answering."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        async def swallow(event: Event) -> None: ...

        await app(scope, receive, swallow)
        abort(send)

    return fault


def cut(*, after: int) -> Fault:
    """Close the connection after so many pieces of the answer's body."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        left = after

        async def cutting(event: Event) -> None:
            nonlocal left
            if event["type"] == "http.response.body":
                if left == 0:
                    abort(send)
                    raise ConnectionAbortedError
                left -= 1
                event = {**event, "more_body": True}
            await send(event)

        try:
            await app(scope, receive, cutting)
        except ConnectionAbortedError:
            return
        abort(send)

    return fault


def slow(gate: asyncio.Event) -> Fault:
    """Answer as always, but only once `gate` is set."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await app(scope, receive, send)

    return fault


def abort(send: Send) -> None:
    """Reset the connection; the server's own cycle is the only one who holds its transport."""
    cast("Any", send).__self__.transport.abort()


async def read_body(receive: Receive) -> None:
    while (await receive()).get("more_body"):
        pass


@dataclass(frozen=True)
class Part:
    """One part of a form: a field, or a file where it has a name."""

    name: str
    data: bytes
    filename: str | None = None
    content_type: str = "text/plain"


async def read_form(request: Request) -> list[Part]:
    """Read `multipart/form-data` (RFC 7578): what stands between the boundaries."""
    kind = parse_headers(b"Content-Type: " + request.headers["content-type"].encode())
    assert kind.get_content_type() == "multipart/form-data"
    boundary = cast("str", kind.get_param("boundary")).encode()
    _, *parts, end = (b"\r\n" + await request.body()).split(b"\r\n--" + boundary)
    assert end.startswith(b"--"), "the form ends in the middle"
    return [_part(part) for part in parts]


def _part(raw: bytes) -> Part:
    head, _, data = raw.partition(b"\r\n\r\n")
    headers = parse_headers(head)
    name = cast("str", headers.get_param("name", header="content-disposition"))
    return Part(name, data, headers.get_filename(), headers.get_content_type())


def parse_headers(head: bytes) -> Message:
    return HeaderParser().parsestr(head.strip().decode())


@functools.cache
def picture(width: int, height: int, *, shade: int = 0, kind: str = "PNG") -> bytes:
    """Return a picture; another shade gives other bytes."""
    out = io.BytesIO()
    column = np.linspace(0, 255, height).astype(np.uint8)[:, None, None]
    pixels = np.broadcast_to(column, (height, width, 3)).copy()
    pixels[..., shade % 3] ^= shade % 251
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


@functools.cache
def film(width: int, height: int, *, seconds: float = 0.5, shade: int = 0) -> bytes:
    """Return an MP4 of H.264 with eight frames a second."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, 8)
        for number in range(max(1, math.ceil(seconds * 8))):
            level = (number * 20 + shade) % 256
            pixels = np.full((height, width, 3), level, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return out.getvalue()


def sse(event: str | None, data: str) -> bytes:
    """Return one frame of an event stream."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {data}\n\n".encode()


def subset(body: Mapping[str, object], known: Mapping[str, type | tuple[type, ...]]) -> str | None:
    """Return the name of the first field that is unknown or of another type."""
    return next((name for name, value in body.items() if not isinstance(value, known.get(name, ()))), None)
