"""Before the program has begun, nothing but its health is told: a pure ASGI guard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from media_pipeline.api.problems import problem_response

OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class Gate:
    """Answer 503 to all but `OPEN` until `begun` says so."""

    def __init__(self, app: ASGIApp, *, begun: Callable[[], bool]) -> None:
        self._app = app
        self._begun = begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._begun() or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        answer = problem_response(503, "not_ready", "The service waits for its database; come back soon.")
        await answer(scope, receive, send)
