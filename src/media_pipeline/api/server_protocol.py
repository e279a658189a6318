"""uvicorn's HTTP protocol, able to give a connection away to the stream that was asked for on it.

It reaches into uvicorn, and so is used with the releases that its tests have seen. With any other, streams
take the portable way: see `realtime/push.py`.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from media_pipeline.api.detached import EXTENSION, Detached, Headers

FIRST: Final = (0, 54)
BEFORE: Final = (0, 55)
"""The releases of uvicorn whose inside this file knows."""


def choose_protocol(version: str = uvicorn.__version__) -> type[asyncio.Protocol] | Literal["auto"]:
    """Return what uvicorn is to speak HTTP with: ours where it is known to fit, else its own choice."""
    known = FIRST <= tuple(int(part) for part in version.split(".")[:2]) < BEFORE
    return DetachingProtocol if known else "auto"


class DetachingProtocol(HttpToolsProtocol):
    """A connection that offers itself to the application, with each request."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        # The application begins in the next turn of the loop, and finds it.
        self.scope["extensions"] = {EXTENSION: Offer(self, self.cycle)}  # type: ignore[dict-item] # not uvicorn's


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
        ours = (*headers, (b"connection", b"close"))
        if chunked:
            ours += ((b"transfer-encoding", b"chunked"),)
        lines = (b"%b: %b\r\n" % header for header in (*self._protocol.server_state.default_headers, *ours))
        return b"".join((STATUS_LINE[200], *lines, b"\r\n"))

    def _let_go(self) -> None:
        """Leave uvicorn believing that the request was answered, and hold nothing that holds the stream."""
        protocol = self._protocol
        protocol.connections.discard(protocol)
        protocol.server_state.total_requests += 1
        self._cycle.response_started = self._cycle.response_complete = True
        protocol.pipeline.clear()
        for name in ("cycle", "parser", "scope", "headers", "flow", "transport"):
            setattr(protocol, name, None)
