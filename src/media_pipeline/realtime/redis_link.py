"""One connection to Redis or Valkey: commands, their replies, and what it pushes (RESP3).

Guarantees that replies and pushed messages are handed on in the very order in which the server wrote
them, inside the parser's loop: what follows a reply in the stream was published after the command ran.
Every command is answered once, by its reply or by `LinkLost`. Does not come back when it is lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import hiredis
import structlog

from media_pipeline.realtime.bus import BusError

Word = str | bytes | int
Reply = object
"""What hiredis makes of an answer: bytes, numbers, lists, or a `hiredis.ReplyError`."""

Take = Callable[[Reply], None]
Ear = Callable[[bytes], None]
Ears = Mapping[bytes, Ear]
"""Who takes the messages of a channel."""

_NOTHING: Final = object()
_STALE: Final = ("NOSCRIPT", "READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "CLUSTERDOWN", "MOVED")
_log = structlog.get_logger(__name__)


class LinkLost(BusError):
    """The connection to Redis was lost; whether the command ran is unknown."""


class LinkRefused(BusError):
    """The server is there and does not let us in: a wrong name or password."""


class Link(asyncio.Protocol):
    """A connection; the messages of a channel go to its ear in `ears`. `life` names the server's process."""

    def __init__(self, ears: Ears) -> None:
        # Kept: a subscription may be closed, and so unsubscribed, when no loop runs.
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.life = ""
        self.scripts: dict[str, bytes] = {}
        self.congested = False
        self._ears = ears
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._waiting: deque[Take] = deque()
        self._words: list[bytes] = []
        self._spoke = False
        self._transport: asyncio.Transport | None = None
        self._reason = "closed by the server"
        self._heard = True
        self._pinged = False

    def call(self, take: Take, *words: Word) -> None:
        """Send a command; `take` is called once, from the parser's loop or when the link is lost."""
        if self.lost.done():
            take(LinkLost(f"The link to Redis was lost: {self._reason}."))
        else:
            self._waiting.append(take)
            self._say(*words)

    def tell(self, *words: Word) -> None:
        """Send a command whose reply matters to nobody."""
        self.call(_drop_reply, *words)

    async def ask(self, *words: Word) -> Reply:
        """Send a command and return its reply; `LinkLost`, or `BusError` for one that is an error."""
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self.call(lambda reply: None if answer.done() else answer.set_result(reply), *words)
        reply = await answer
        if isinstance(reply, LinkLost):
            raise reply
        if isinstance(reply, hiredis.ReplyError):
            raise self.refuse(reply)
        return reply

    def refuse(self, error: hiredis.ReplyError) -> BusError:
        """Make an error of an error reply; one that says that this link is of no use any more ends it."""
        if str(error).startswith(_STALE):
            self.drop(str(error))
            return LinkLost(f"Redis refused: {error}.")
        return BusError(f"Redis refused: {error}.")

    def subscribe(self, *channels: bytes) -> None:
        """Begin to hear these channels."""
        self._change("SUBSCRIBE", channels)

    def unsubscribe(self, *channels: bytes) -> None:
        """Stop hearing these channels; what is under way still comes."""
        self._change("UNSUBSCRIBE", channels)

    def check(self) -> None:
        """Ping if nothing was heard since the last check, and drop the link if that was a ping already."""
        if self._heard:
            self._heard = self._pinged = False
        elif self._pinged:
            self.drop("silent")
        else:
            self._pinged = True
            self.tell("PING")

    def drop(self, reason: str) -> None:
        """End the link; harmless when repeated."""
        if self._transport is not None and not self._transport.is_closing():
            self._reason = reason
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _NOTHING:
                self._take(reply)
        except hiredis.ProtocolError as error:
            self.drop(str(error))

    def pause_writing(self) -> None:
        self.congested = True

    def resume_writing(self) -> None:
        self.congested = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._reason = str(exc) if exc else self._reason
        self.lost.set_result(self._reason)
        waiting, self._waiting = self._waiting, deque()
        error = LinkLost(f"The link to Redis was lost: {self._reason}.")
        for take in waiting:
            take(error)

    def _take(self, reply: Reply) -> None:
        if not isinstance(reply, hiredis.PushNotification):
            self._waiting.popleft()(reply)
        elif reply[0] == b"message":
            if (ear := self._ears.get(reply[1])) is not None:
                ear(reply[2])
        elif reply[0] in {b"subscribe", b"unsubscribe"}:
            self._waiting.popleft()(None)

    def _change(self, verb: str, channels: Sequence[bytes]) -> None:
        # Each channel is confirmed by a push of its own, at its place among the replies.
        if channels and not self.lost.done():
            self._waiting.extend([self._confirm] * len(channels))
            self._say(verb, *channels)

    def _confirm(self, reply: Reply) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self.drop(f"a subscription was refused: {reply}")

    def _say(self, *words: Word) -> None:
        command = hiredis.pack_command(words)  # type: ignore[arg-type] # the stub knows one word only
        if self._spoke:
            self._words.append(command)
        else:
            # The first of a loop turn leaves at once, all others of it in one write.
            self._spoke = True
            self._loop.call_soon(self._speak)
            self._write(command)

    def _speak(self) -> None:
        self._spoke = False
        words, self._words = self._words, []
        if words:
            self._write(b"".join(words))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _drop_reply(reply: Reply) -> None:
    if isinstance(reply, hiredis.ReplyError):
        _log.warning("redis.refused", error=str(reply))
