"""Push bytes through an ASGI `send`, from outside the request's own task.

The portable outlet: it works on every ASGI server. While the server takes bytes at once, a write is
one call and no task; where `send` suspends (the reader is slow), a task finishes that one send and the
connection is told. Costs against a connection that owns its transport: see `ARCHITECTURE.md`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from typing import ClassVar, Final

AsgiMessage = MutableMapping[str, object]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]

_SENT: Final = object()
LAST_CHUNK_SECONDS: Final = 1.0
"""How long a reader that stands still may hold up the end of its own stream."""


class AsgiPush:
    """An outlet; once the stream is over, `clean` tells whether a last chunk is sent."""

    __slots__ = ("_send", "_sending", "_watcher", "clean", "resumed")

    _message: ClassVar[AsgiMessage] = {"body": b""}
    """The last message: a frame goes to many readers, what servers only read is made once."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._sending: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[object] | None = None
        self.clean: bool | None = None
        self.resumed: Callable[[], None] = _nothing

    def write(self, data: bytes) -> bool:
        message = AsgiPush._message
        if message["body"] is not data:
            message = AsgiPush._message = _body(data, more=True)
        steps = self._send(message).__await__()
        try:
            awaited = next(steps, _SENT)
        except Exception:  # noqa: BLE001 - whatever a server raises (OSError: gone), it ends this stream alone
            self.abort()
            return True
        if awaited is _SENT:
            return True
        self._sending = asyncio.get_running_loop().create_task(self._finish(_Rest(awaited, steps)))
        return False

    def waiting(self) -> int:
        return 0  # a server does not say

    def end(self) -> None:
        self._decide(clean=True)

    def abort(self) -> None:
        self._decide(clean=False)

    async def watch(self, receive: Receive) -> None:
        """Return when the stream is over or its reader is gone; what the reader says is nothing to us.

        The request's own task waits for both: another one, or a future, would cost each stream a kibibyte.
        """
        watcher = self._watcher = asyncio.current_task()
        try:
            while self.clean is None and (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            if self.clean is None or watcher is None or watcher.uncancel():
                raise
        finally:
            self._watcher = None
        self.abort()

    async def aclose(self) -> None:
        """Send the last chunk where the end shall be clean, after what is still under way."""
        try:
            if self.clean:
                async with asyncio.timeout(LAST_CHUNK_SECONDS):
                    await self._finish_last()
        except (OSError, TimeoutError):
            return
        finally:
            if self._sending is not None:
                self._sending.cancel()

    async def _finish_last(self) -> None:
        while self._sending is not None:
            await asyncio.wait([self._sending])
        await self._send(_body(b"", more=False))

    async def _finish(self, rest: Awaitable[None]) -> None:
        try:
            await rest
        except Exception:  # noqa: BLE001 - as in `write`
            self.abort()
        finally:
            self._sending = None
        self.resumed()

    def _decide(self, *, clean: bool) -> None:
        if self.clean is None:
            self.clean = clean
            if self._watcher is not None:
                self._watcher.cancel()


class _Rest:
    """The rest of an awaitable whose first step was made outside any task."""

    __slots__ = ("_awaited", "_steps")

    def __init__(self, awaited: object, steps: Generator[object, None, None]) -> None:
        self._awaited = awaited
        self._steps = steps

    def __await__(self) -> Generator[object, None, None]:
        try:
            yield self._awaited
        except BaseException:
            self._steps.close()
            raise
        yield from self._steps


def _body(data: bytes, *, more: bool) -> AsgiMessage:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _nothing() -> None:
    """Stand in until somebody wants to know."""
