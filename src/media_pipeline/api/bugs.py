"""What broke on our side: logged once, answered as a problem, with the headers that every answer has.

The framework would answer it outside every middleware, so a page could not read the answer, and raise it once
more, so the server would log it again and close a connection that the next request is already on.
"""

from __future__ import annotations

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_pipeline.api.problems import problem_response

_log = structlog.get_logger(__name__)


class BugsCaught:
    """Answer an exception that nobody expected; one in the middle of an answer can only break it off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def note(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception as error:
            # The route, never the path: that may name a user and a file.
            route = getattr(scope.get("route"), "path", "none")
            _log.error("request.failed", route=route, error=type(error).__name__, exc_info=error)
            if begun or scope["type"] != "http":
                raise
            answer = problem_response(500, "internal", "Something broke on our side; it has been logged.")
            await answer(scope, receive, send)
