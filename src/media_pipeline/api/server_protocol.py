"""uvicorn's HTTP protocol, with limits for what comes before a body, and able to give a connection away.

A request whose address or headers are too long is refused before anybody looks at it, and a connection that
takes too long to send them is closed. One that asks for a stream may become that stream's own. All this
reaches into uvicorn, and so is used with the releases that its tests have seen. With any other, streams take
the portable way (see `realtime/push.py`), and the limits of a head are that release's own.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Final, Literal, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from media_pipeline.api.detached import EXTENSION, Detached, Headers
from media_pipeline.api.problems import problem_response

FIRST: Final = (0, 54)
BEFORE: Final = (0, 55)
"""The releases of uvicorn whose inside this file knows."""

MAX_URL_BYTES: Final = 16 * 1024
MAX_HEAD_BYTES: Final = 64 * 1024
"""Of address and headers together; a token has 8 KiB at most."""
MAX_HEADERS: Final = 200
LONG_URL: Final = (414, "uri_too_long", f"The address is longer than {MAX_URL_BYTES:,} bytes.")
LONG_HEAD: Final = (
    431,
    "head_too_large",
    f"Address and headers are over {MAX_HEAD_BYTES:,} bytes or {MAX_HEADERS} lines.",
)
SLOW_HEAD: Final = (408, "head_too_slow", "Address and headers did not come in time.")
HEAD_SECONDS: Final = 30.0
"""How long a head may take to arrive, from its connection's beginning or its first byte; and a body that was
answered before its end, for that end."""
_CLOSE: Final = b"connection: close\r\n\r\n"
_CLOSE_CHUNKED: Final = b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n"


def choose_protocol(version: str = uvicorn.__version__) -> type[asyncio.Protocol] | Literal["auto"]:
    """Return what uvicorn is to speak HTTP with: ours where it is known to fit, else its own choice."""
    known = FIRST <= tuple(int(part) for part in version.split(".")[:2]) < BEFORE
    return DetachingProtocol if known else "auto"


class DetachingProtocol(HttpToolsProtocol):
    """A connection that offers itself to the application, with each request whose head is within limits."""

    _in_head = True
    _head_bytes = 0
    _fresh_bytes = 0
    _patience: asyncio.TimerHandle | None = None
    _refusal: tuple[int, str, str] = (400, "bad_request", "This is not a request of HTTP/1.1.")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._fresh_bytes = len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(LONG_HEAD)
            else:
                self._wait()
        elif self._is_answered():
            self._wait()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._stop_waiting()
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        self._check_head()
        super().on_headers_complete()
        # The application begins in the next turn of the loop, and finds it.
        self.scope["extensions"] = {EXTENSION: Offer(self, self.cycle)}  # type: ignore[dict-item] # not uvicorn's

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's
        """Refuse what is no request, or too long for one, and close."""
        status, code, sentence = self._refusal
        answer = problem_response(status, code, sentence, headers={"Connection": "close"})
        lines = _lines((*self.server_state.default_headers, *answer.raw_headers))
        self.transport.write(b"".join((STATUS_LINE[status], lines, b"\r\n", bytes(answer.body))))
        self.transport.close()

    def _check_head(self) -> None:
        """Raise for a head that is too long; the parser turns that into a refusal."""
        if len(self.url) > MAX_URL_BYTES:
            self._refusal = LONG_URL
        elif len(self.headers) > MAX_HEADERS or self._is_long():
            self._refusal = LONG_HEAD
        else:
            return
        raise ValueError(self._refusal)

    def _is_long(self) -> bool:
        # What came is no less than the head: only what is much has to be counted.
        if self._head_bytes + self._fresh_bytes <= MAX_HEAD_BYTES:
            return False
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self._in_head and self._head_bytes:
            self._refuse(SLOW_HEAD)
        else:
            self.transport.close()

    def _refuse(self, refusal: tuple[int, str, str]) -> None:
        """Say why and close; amid an earlier request's answer only close, or it would stand in that."""
        self._refusal = refusal
        if self._is_answered():
            self.send_400_response("")
        else:
            self.transport.close()

    def _is_answered(self) -> bool:
        """Tell whether no request waits for an answer; what comes then begins another, or should."""
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn's None until the first
        return cycle is None or cycle.response_complete

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class Offer:
    """The connection of one request: a `Detachable`."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: DetachingProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle

    def may_detach(self) -> bool:
        protocol, cycle = self._protocol, self._cycle
        unread = cycle.more_body or cycle.waiting_for_100_continue
        begun = cycle.response_started or protocol.flow.write_paused
        return not (unread or begun or protocol.transport.is_closing())

    def detach(self, stream: Detached, headers: Headers) -> None:
        protocol, chunked = self._protocol, self._cycle.scope["http_version"] != "1.0"
        transport, siblings = protocol.transport, cast("set[asyncio.Protocol]", protocol.connections)
        head, more = self._head(headers, chunked=chunked), bool(protocol.pipeline)
        self._let_go()
        stream.own(transport, head, chunked=chunked, siblings=siblings)
        if more:
            stream.refuse()

    def _head(self, headers: Headers, *, chunked: bool) -> bytes:
        servers = _lines(tuple(self._protocol.server_state.default_headers))
        return b"".join((STATUS_LINE[200], servers, _lines(headers), _CLOSE_CHUNKED if chunked else _CLOSE))

    def _let_go(self) -> None:
        """Leave uvicorn believing that the request was answered, and hold nothing that holds the stream."""
        protocol = self._protocol
        protocol.connections.discard(protocol)
        protocol.server_state.total_requests += 1
        self._cycle.response_started = self._cycle.response_complete = True
        protocol.pipeline.clear()
        # The scope leads here and so to itself: a circle that only the collector would find.
        del self._cycle.scope["extensions"]
        for name in ("cycle", "parser", "scope", "headers", "flow", "transport"):
            setattr(protocol, name, None)


@lru_cache(maxsize=16)
def _lines(headers: Headers) -> bytes:
    """Write headers; those of streams are nearly always the same."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)
