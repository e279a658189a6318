"""Telling people: the `Bus` protocol, its messages and its errors.

Guarantees: per user, every subscriber sees state messages in the order of their positions, each
once, or is told by an `Opening.RESET` that history before it is gone; a state message with the same
`key` is published once within the kept history. Not guaranteed: progress, which is never replayed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, Final, Protocol, Self

import msgspec

from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.sse import with_id

_POSITION: Final = re.compile(r"([0-9A-Za-z]{1,32}):([0-9]{1,20}(?:-[0-9]{1,20})?)", re.ASCII)


class BusError(MediaPipelineError):
    """The bus could not take or bring a message now."""

    code: ClassVar[str] = "bus_unavailable"
    retryable: ClassVar[bool] = True


class Position(msgspec.Struct, frozen=True):
    """A place in one user's history: `offset` counts within `epoch`, and epochs never compare.

    Its text form `<epoch>:<offset>` is the `id:` of an SSE frame. An offset is one number or two
    joined by a dash; only the bus that gave it can order it.
    """

    epoch: str
    offset: str

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read the text form; None where it is not one."""
        match = _POSITION.fullmatch(text)
        return cls(match[1], match[2]) if match else None


class Message(msgspec.Struct, frozen=True):
    """One event for one user, encoded once; a struct is made in a fifth of a frozen dataclass's time.

    `frame` is the SSE frame, the very bytes that every subscriber is sent. `key` names a state
    change (the same change published twice has the same key); None marks progress, which is
    conflated per `slot` and never kept. `position` is set by the bus, on state messages only; `trace` goes
    with them to whoever sends them on.
    """

    user_id: UserId
    job_id: JobId | None
    frame: bytes
    key: str | None
    slot: str | None = None
    terminal: bool = False
    position: Position | None = None
    trace: str | None = None

    def at(self, position: Position) -> Message:
        """Give the message its place, in its frame too: the `id:` line is written once, here."""
        return msgspec.structs.replace(self, position=position, frame=with_id(self.frame, str(position)))


class Opening(StrEnum):
    """How a subscription begins."""

    READY = "ready"
    """No position was asked for: what follows is newer than `position`."""
    RESUMED = "resumed"
    """The position was found: `missed` holds every state message after it."""
    RESET = "reset"
    """The position is of another epoch, forgotten or no position at all: read the snapshot again."""


class Receiver(Protocol):
    """What a subscriber hands to the bus; called in the event loop, must not block or raise."""

    def open(self, opening: Opening, position: Position, missed: Sequence[Message]) -> None:
        """Take the beginning: `position` is the newest at this moment, `missed` what led to it.

        Comes before any message, and again, RESUMED or RESET, after a loss that the bus healed.
        """
        ...

    def receive(self, message: Message) -> None:
        """Take one live message."""
        ...


class Subscription(Protocol):
    """A running subscription."""

    def close(self) -> None:
        """Stop; no call to the receiver follows."""
        ...


class Bus(Protocol):
    """Carry messages from whoever publishes to whoever subscribed, by user."""

    async def publish(self, message: Message) -> None:
        """Send a message; return once it can be replayed (state) or was sent (progress).

        A state message whose key is in the kept history already is dropped. `BusError` where the
        bus cannot take it now, or is closed.
        """
        ...

    async def subscribe(
        self, user_id: UserId, receiver: Receiver, *, since: str | None = None
    ) -> Subscription:
        """Deliver a user's messages to `receiver`, from the position `since` (as text) or from now.

        The receiver's `open` was called when this returns. A position resumes only where every
        state message after it is still kept; any other text, of whatever form, is a RESET.
        `BusError` where the bus cannot tell within a bounded time, or is closed.
        """
        ...

    async def forget(self, user_id: UserId) -> None:
        """Drop what is kept of a user's messages; whoever has missed some of it is told RESET."""
        ...

    async def aclose(self) -> None:
        """Stop every subscription and release connections."""
        ...
