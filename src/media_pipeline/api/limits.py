"""How much of a request is read: a pure ASGI guard before any parser."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_pipeline.api.problems import problem_response

MAX_BODY_BYTES: Final = 1024 * 1024
STREAMED: Final = "/storage/"
"""Bytes of media pass here; the store has its own limits."""


class _TooLarge(Exception):
    """The body went past the limit."""


class BodyLimit:
    """Answer 413 to a body over `max_bytes`, before it is read where it declares its length."""

    def __init__(self, app: ASGIApp, *, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(STREAMED):
            await self._app(scope, receive, send)
            return
        if _declared(scope) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        try:
            await self._app(scope, self._counted(receive), send)
        except _TooLarge:
            await self._refuse(scope, receive, send)

    def _counted(self, receive: Receive) -> Receive:
        read = 0

        async def count() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise _TooLarge
            return message

        return count

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        sentence = f"The body is larger than {self._max_bytes:,} bytes; send media by its upload URL."
        headers = {"Connection": "close"}
        await problem_response(413, "too_large", sentence, headers=headers)(scope, receive, send)


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
