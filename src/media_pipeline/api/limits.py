"""How much of a request is read, and how long it is waited for: a pure ASGI guard before any parser.

Also how much there is in it: a megabyte of the shortest values would become a hundred of them in memory,
and values within values cost a parser its stack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_pipeline.api.problems import problem_response

MAX_BODY_BYTES: Final = 1024 * 1024
LINGER_BYTES: Final = 8 * MAX_BODY_BYTES
MAX_SIGNS: Final = 20_000
"""Of each of these in one body: ten times what the longest sensible request has."""
SIGNS: Final = (b":", b",", b"[", b"{")
"""What values of JSON stand between: each value may cost a hundred times its length once it is read."""
MAX_DEPTH: Final = 32
"""Of lists and objects within each other: several times what any request has."""
PACE_BYTES: Final = 16 * 1024
"""What is to come in the time that a body is waited for, unless its end does."""
READ_AS_BYTES: Final = "/webhooks/"
STREAMED: Final = "/storage/"
"""Bytes of media pass here; the store has its own limits."""

Refusal = tuple[int, str, str]
_DEEP: Final = (
    400,
    "json_too_deep",
    f"The body has more than {MAX_DEPTH} lists and objects within each other.",
)
_NOT_UTF8: Final = (400, "malformed_json", "The body is not JSON in UTF-8.")
_SLOW: Final = (408, "body_too_slow", "The body did not come in time; send it again.")
_OTHERS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class _Refused(Exception):
    """The body will not be read to its end."""


class BodyLimit:
    """Answer 413 to a body over `max_bytes` or `MAX_SIGNS`, 400 to one too deep, 408 to one that drips.

    What declares over `LINGER_BYTES` is not read. A body is waited for as long as `PACE_BYTES` of it come in
    each `seconds` of waiting; how long the application takes for them does not count.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int = MAX_BODY_BYTES, seconds: float = 20.0) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds
        sentence = (
            f"The body is larger than {max_bytes:,} bytes or has more than {MAX_SIGNS:,} values; "
            "send media by its upload URL."
        )
        self._large: Refusal = (413, "too_large", sentence)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, send, seconds=self._seconds)
        if not scope["path"].startswith(STREAMED):
            signs = () if scope["path"].startswith(READ_AS_BYTES) else SIGNS
            body.bound(self._large, max_bytes=self._max_bytes, signs=signs)
            if _declared(scope) > self._max_bytes:
                body.refusal = self._large
        if body.refusal is None:
            with suppress(_Refused):
                await self._app(scope, body.receive, body.send)
        if body.refusal is not None and not body.begun:
            if body.refusal is not _SLOW and body.more and _declared(scope) <= LINGER_BYTES:
                await body.throw_away()
            answer = problem_response(*body.refusal, headers={"Connection": "close"})
            await answer(scope, receive, send)


class _Body:
    """Watch a body; once it is refused, what the application would answer is not sent.

    Its framework takes the exception for a broken body and would say so.
    """

    def __init__(self, receive: Receive, send: Send, *, seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._seconds = seconds
        self._large: Refusal | None = None
        self._left = 0
        self._signs: dict[bytes, int] = {}
        self._parts: list[bytes] = []
        self._waited, self._came = 0.0, 0
        self.more = True
        """Whether its end has not come: whoever reads past that waits for the client to hang up."""
        self.refusal: Refusal | None = None
        self.begun = False
        """Whether the application has begun to answer, after which nobody else may."""

    def bound(self, refusal: Refusal, *, max_bytes: int, signs: Sequence[bytes]) -> None:
        """Refuse more bytes than that, more of each of `signs` than `MAX_SIGNS`, and too deep a nest."""
        self._large, self._left = refusal, max_bytes
        self._signs = dict.fromkeys(signs, MAX_SIGNS)

    async def receive(self) -> Message:
        """Pass a message on, or raise `_Refused`."""
        if not self.more:
            return await self._receive()
        message = await self._wait()
        if self._large is not None:
            self._measure(message.get("body", b""))
        if self.refusal is not None:
            raise _Refused
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on, unless the body was refused before anything was said."""
        if self.refusal is None or self.begun:
            self.begun = True
            await self._send(message)

    async def throw_away(self) -> None:
        """Read what a client is still sending: one whose connection is cut while it sends sees no answer."""
        left = LINGER_BYTES
        with suppress(_Refused):
            while left > 0 and self.more:
                left -= len((await self._wait()).get("body", b""))

    async def _wait(self) -> Message:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._seconds - self._waited):
                message = await self._receive()
        except TimeoutError:
            self.refusal = self.refusal or _SLOW
            raise _Refused from None
        self.more = bool(message.get("more_body", False))
        self._waited += loop.time() - began
        self._came += len(message.get("body", b""))
        if self._came >= PACE_BYTES:
            self._waited, self._came = 0.0, 0
        return message

    def _measure(self, data: bytes) -> None:
        self._left -= len(data)
        for sign in self._signs:
            self._signs[sign] -= data.count(sign)
        if min(self._left, *self._signs.values()) < 0 if self._signs else self._left < 0:
            self.refusal = self._large
        elif self._signs and b"\0" in data:  # as all JSON in UTF-16 has; its depth could not be told
            self.refusal = _NOT_UTF8
        elif self._signs:
            self._parts.append(data)
            if not self.more and self._opened() > MAX_DEPTH < measure_depth(b"".join(self._parts)):
                self.refusal = _DEEP

    def _opened(self) -> int:
        """Count what opens a list or an object, or stands in a text: the depth is no more."""
        return sum(MAX_SIGNS - self._signs[sign] for sign in (b"[", b"{"))


def measure_depth(text: bytes) -> int:
    """Return how many lists and objects of a JSON text are within each other.

    In a few passes that no text makes slow. Of one that is no JSON it is whatever comes out.
    """
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    between_texts = b"".join(unescaped.split(b'"', 8 * MAX_SIGNS)[::2])
    brackets = between_texts.translate(None, _OTHERS)[: 4 * MAX_SIGNS]
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
