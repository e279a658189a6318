"""One open stream towards its reader: what waits, when it is written, when it ends.

Guarantees that frames leave in order, those of one loop turn in one write, and that a reader who falls
behind is dropped rather than served with holes: it comes back with its position. Costs no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from media_pipeline.ids import UserId
from media_pipeline.realtime import sse
from media_pipeline.realtime.backlog import Backlog
from media_pipeline.realtime.bus import Message, Opening, Position, Subscription
from media_pipeline.realtime.wheel import Wheel
from media_pipeline.tracing import tell

_log = structlog.get_logger(__name__)
PING: Final = sse.comment()
READY: Final = sse.encode_frame("ready", b"{}")
RESET: Final = sse.encode_frame("reset", b'{"reason":"history"}')


def opening_frame(position: str, *, lost: bool) -> bytes:
    """Return `ready` or, where history was lost, `reset`, at a position."""
    if lost:
        _log.debug("stream.reset")
    return sse.with_id(RESET if lost else READY, position)


class Outlet(Protocol):
    """Where a connection's bytes go; called in the event loop, must not block or raise."""

    def write(self, data: bytes) -> bool:
        """Take `data`; False asks for nothing more until `Connection.resume` is called."""
        ...

    def waiting(self) -> int:
        """Return how many of the bytes taken wait for the reader, as far as that can be told."""
        ...

    def end(self) -> None:
        """End the stream cleanly, after what was written."""
        ...

    def abort(self) -> None:
        """Drop the stream at once."""
        ...


class Turn:
    """Collect the connections that have something to say, and let them speak once a loop turn."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._speakers: list[Connection] = []
        self._traced: dict[str, tuple[float, int]] = {}

    def add(self, connection: Connection) -> None:
        if not self._speakers:
            asyncio.get_running_loop().call_soon(self._speak)
        self._speakers.append(connection)

    def note(self, trace: str) -> None:
        """Tell the trace of a message, once the turn is over, that it was sent and to how many."""
        if not self._traced:
            asyncio.get_running_loop().call_soon(self._tell)
        began, streams = self._traced.get(trace, (self._monotonic(), 0))
        self._traced[trace] = began, streams + 1

    def _tell(self) -> None:
        traced, self._traced = self._traced, {}
        for trace, (began, streams) in traced.items():
            tell("sse.send", self._monotonic() - began, parent=trace, streams=streams)

    def _speak(self) -> None:
        speakers, self._speakers = self._speakers, []
        now = self._monotonic()
        for connection in speakers:
            connection.flush(now)


@dataclass(frozen=True, slots=True)
class House:
    """What all connections of a hub share: the limits, the clock's hand, the door."""

    ping_seconds: float
    stall_seconds: float
    backlog_events: int
    backlog_bytes: int
    hellos: Iterator[bytes]
    monotonic: Callable[[], float]
    wheel: Wheel
    turn: Turn
    leave: Callable[[Connection, str], None]


class Connection:
    """One reader's stream, and what it is on the bus: a `Receiver`. Corked when made, until `start`.

    Whoever made the outlet calls `resume` when it takes bytes again and `close` when the reader is
    gone. `expires` is a monotonic time.
    """

    __slots__ = (
        "_backlog",
        "_corked",
        "_expires",
        "_house",
        "_idle",
        "_left",
        "_lone",
        "_outlet",
        "_stalled",
        "_subscription",
        "_written",
        "bucket",
        "closed",
        "user_id",
    )

    def __init__(self, outlet: Outlet, house: House, *, user_id: UserId, expires: float | None) -> None:
        self.user_id = user_id
        self.closed = False
        self.bucket = -1
        self._outlet = outlet
        self._house = house
        self._expires = expires
        self._subscription: Subscription | None = None
        # The only message of a turn waits by itself: most turns bring one, and a backlog costs.
        self._lone: Message | None = None
        self._backlog: Backlog | None = Backlog()
        self._backlog.add(next(house.hellos))
        self._corked = True
        self._idle = False
        self._stalled: float | None = None
        self._left = 0
        self._written = house.monotonic()
        self._watch()

    def attach(self, subscription: Subscription) -> None:
        """Keep the subscription until the connection closes, which may have been before."""
        if self.closed:
            subscription.close()
        else:
            self._subscription = subscription

    def open(self, opening: Opening, position: Position, missed: Sequence[Message]) -> None:
        """Say how the stream begins, or goes on after a loss."""
        if opening is Opening.RESUMED:
            self.replay(missed)
        else:
            self.say(opening_frame(str(position), lost=opening is Opening.RESET))

    def receive(self, message: Message) -> None:
        """Write a message at the end of this loop turn; it may conflate what waits."""
        if self._idle:
            self._idle = False
            self._lone = message
            self._house.turn.add(self)
        elif not self.closed:
            self._gather().put(message)
            self._bound()
        if message.trace is not None:
            self._house.turn.note(message.trace)

    def replay(self, messages: Sequence[Message]) -> None:
        """Write what was missed in one piece: however much it is, it is no backlog."""
        if not self.closed:
            backlog = self._gather()
            for message in messages:
                backlog.put(message)
            self._wake()

    def say(self, frame: bytes) -> None:
        """Write a frame of the stream's own at the end of this loop turn."""
        if not self.closed:
            self._gather().add(frame)
            self._wake()
            self._bound()

    def start(self) -> None:
        """Let bytes go, and those that wait at once."""
        self._corked = False
        self.flush(self._house.monotonic())

    def resume(self) -> None:
        """Go on writing: the outlet takes bytes again."""
        self._stalled = None
        self.flush(self._house.monotonic())

    def flush(self, now: float) -> None:
        """Write what waits, in one piece, if the outlet takes it."""
        if (lone := self._lone) is not None:
            # Most turns: one frame for an idle reader, and the very object that all others get.
            self._lone = None
            self._write(lone.frame, now)
        elif self._stalled is None and not (self._corked or self._idle or self.closed):
            backlog, self._backlog = self._backlog, None
            if backlog:
                self._write(backlog.take(), now)
            else:
                self._idle = True

    def end(self, reason: str) -> None:
        """Say what waits and end the stream cleanly."""
        if not self.closed:
            self.flush(self._house.monotonic())
            self._outlet.end()
            self.close(reason)

    def abort(self, reason: str) -> None:
        """Drop the stream; its reader comes back with its position."""
        if not self.closed:
            self._outlet.abort()
            self.close(reason)

    def close(self, reason: str = "gone") -> None:
        """Stop listening and leave the hub; harmless when repeated."""
        if self.closed:
            return
        self.closed = True
        self._idle = False
        self._lone = self._backlog = None
        if self._subscription is not None:
            self._subscription.close()
        self._house.leave(self, reason)

    def tick(self, now: float) -> float | None:
        """Ping, or end what expired or stands still; return when to look again."""
        if not self.closed:
            self._check(now)
        return None if self.closed else self._next_tick()

    def _check(self, now: float) -> None:
        if self._expires is not None and self._expires <= now:
            self.end("expired")
        elif self._stalled is not None and self._stalled + self._house.stall_seconds <= now:
            self._judge(now)
        elif self._written + self._house.ping_seconds <= now:
            self._ping(now)

    def _judge(self, now: float) -> None:
        """Drop a reader that stands still; one that only is slow goes on."""
        if (left := self._outlet.waiting()) < self._left:
            self._stalled, self._left = now, left
        else:
            self.abort("stalled")

    def _ping(self, now: float) -> None:
        if self._idle:
            self._write(PING, now)
        else:
            self._written = now

    def _write(self, data: bytes, now: float) -> None:
        self._written = now
        if self._outlet.write(data):
            self._idle = True
        else:
            self._idle = False
            self._stalled, self._left = now, self._outlet.waiting()
            self._watch()

    def _watch(self) -> None:
        self._house.wheel.schedule(self, self._next_tick())

    def _next_tick(self) -> float:
        due = self._written + self._house.ping_seconds
        if self._stalled is not None:
            due = min(due, self._stalled + self._house.stall_seconds)
        return due if self._expires is None else min(due, self._expires)

    def _wake(self) -> None:
        if self._idle:
            self._idle = False
            self._house.turn.add(self)

    def _gather(self) -> Backlog:
        """Return the backlog with everything that waits."""
        if self._backlog is None:
            self._backlog = Backlog()
        if self._lone is not None:
            self._backlog.put(self._lone)
            self._lone = None
        return self._backlog

    def _bound(self) -> None:
        """Relieve a full backlog. Much at once is no fault of a reader that keeps up; falling behind is."""
        backlog, house = self._backlog, self._house
        if backlog is None or not (len(backlog) > house.backlog_events or backlog.size > house.backlog_bytes):
            return
        if self._stalled is None:
            self.flush(house.monotonic())
        else:
            self.abort("backlog")
