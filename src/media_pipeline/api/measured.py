"""How many requests there were, how they went and how long they took, by the route that answered.

A trace that a request brings goes on here, or begins.
"""

from __future__ import annotations

from time import perf_counter
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_pipeline.tracing import following, span

_log = structlog.get_logger(__name__)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Measured:
    """Say of each answered request, below what the log shows, how it went; paths are named by their route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = 500, perf_counter()

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "other"
        with following(_traceparent(scope)), span(method) as request:
            try:
                await self._app(scope, receive, note)
            finally:
                route = getattr(scope.get("route"), "path", "none")
                request.describe(f"{method} {route}", status=status)
                _log.debug(
                    "request.done", method=method, route=route, status=status, seconds=perf_counter() - began
                )


def _traceparent(scope: Scope) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
