"""How much of a request is read: a pure ASGI guard before any parser.

Also how much there is in it: a megabyte of the shortest values would become a hundred of them in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_pipeline.api.problems import problem_response

MAX_BODY_BYTES: Final = 1024 * 1024
LINGER_BYTES: Final = 8 * MAX_BODY_BYTES
MAX_SIGNS: Final = 20_000
"""Of each of these in one body: ten times what the longest sensible request has."""
SIGNS: Final = (b":", b",", b"[", b"{")
"""What values of JSON stand between: each value may cost a hundred times its length once it is read."""
READ_AS_BYTES: Final = "/webhooks/"
STREAMED: Final = "/storage/"
"""Bytes of media pass here; the store has its own limits."""


class _TooLarge(Exception):
    """The body went past the limit."""


class BodyLimit:
    """Answer 413 to a body over `max_bytes` or `MAX_SIGNS`; what declares over `LINGER_BYTES` is not read."""

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
        signs = () if scope["path"].startswith(READ_AS_BYTES) else SIGNS
        body = _Body(receive, send, max_bytes=self._max_bytes, signs=signs)
        with suppress(_TooLarge):
            await self._app(scope, body.receive, body.send)
        if body.too_large:
            await self._refuse(scope, receive, send, more=body.more)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, *, more: bool = True) -> None:
        if more and _declared(scope) <= LINGER_BYTES:
            await _throw_away(receive)
        sentence = (
            f"The body is larger than {self._max_bytes:,} bytes or has more than {MAX_SIGNS:,} values; "
            "send media by its upload URL."
        )
        headers = {"Connection": "close"}
        await problem_response(413, "too_large", sentence, headers=headers)(scope, receive, send)


class _Body:
    """Count a body; once it is too large, what the application would answer is not sent.

    Its framework takes the exception for a broken body and would say so.
    """

    def __init__(self, receive: Receive, send: Send, *, max_bytes: int, signs: Sequence[bytes]) -> None:
        self._receive = receive
        self._send = send
        self._left = max_bytes
        self._signs = dict.fromkeys(signs, MAX_SIGNS)
        self.more = True
        """Whether its end has not come: whoever reads past that waits for the client to hang up."""

    @property
    def too_large(self) -> bool:
        """Whether more came than may."""
        return min(self._left, *self._signs.values()) < 0 if self._signs else self._left < 0

    async def receive(self) -> Message:
        """Pass a message on, or raise `_TooLarge`."""
        message = await self._receive()
        body = message.get("body", b"")
        self.more = bool(message.get("more_body", False))
        self._left -= len(body)
        for sign in self._signs:
            self._signs[sign] -= body.count(sign)
        if self.too_large:
            raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if not self.too_large:
            await self._send(message)


async def _throw_away(receive: Receive) -> None:
    """Read what a client is still sending: one whose connection is cut while it sends sees no answer."""
    left = LINGER_BYTES
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body", False):
            return


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
