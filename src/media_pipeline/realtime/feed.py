"""What a stream of one job is told: its state so far, then what is live.

Guarantees that the two meet without a hole and without a repeat, whatever happens while the snapshot is
read. Not guaranteed: that a reader who is cut after the snapshot told a change, and before the bus did,
does not hear of it again.
"""

from __future__ import annotations

from collections.abc import Sequence

from media_pipeline.ids import JobId
from media_pipeline.realtime import sse
from media_pipeline.realtime.bus import Message, Opening, Position
from media_pipeline.realtime.connection import Connection, opening_frame


class Feed:
    """The receiver before a connection that lets one job through."""

    __slots__ = ("_connection", "_held", "_job_id", "_known", "_lost", "_position")

    def __init__(self, connection: Connection, *, job_id: JobId) -> None:
        self._connection = connection
        self._job_id = job_id
        self._position: Position | None = None
        self._held: list[Message] | None = None
        self._lost = False
        self._known: frozenset[str] = frozenset()

    def open(self, opening: Opening, position: Position, missed: Sequence[Message]) -> None:
        if opening is Opening.RESUMED:
            for message in missed:
                self.receive(message)
        elif self._held is None:
            self._connection.open(opening, position, ())
        else:
            self._begin(opening, position)

    def receive(self, message: Message) -> None:
        if message.job_id != self._job_id:
            return
        if self._held is not None:
            self._hold(message)
        elif message.key in self._known and message.position is not None:
            # The reader has it from the snapshot; only its position moves.
            self._connection.say(sse.id_only(str(message.position)))
        else:
            self._connection.receive(message)

    def hold(self) -> None:
        """Keep back what is live until `release` says what was before."""
        self._held = []

    def release(self, snapshot: Sequence[Message]) -> None:
        """Send the state so far, then `ready`, then what was held and is not in the snapshot."""
        held, self._held = self._held or [], None
        self._known = frozenset(message.key for message in snapshot if message.key is not None)
        # A change that is in the snapshot and held goes out as snapshot: the position is after it.
        while held and held[0].key in self._known:
            self._position = held.pop(0).position
        self._say_snapshot([message.frame for message in snapshot])
        for message in held:
            self.receive(message)

    def _begin(self, opening: Opening, position: Position) -> None:
        if opening is Opening.RESET:
            self._lost = True
        self._held = []
        self._position = position

    def _hold(self, message: Message) -> None:
        # Progress of before the beginning is old news, as for any stream that opens a moment later.
        if self._held is not None and message.key is not None:
            self._held.append(message)

    def _say_snapshot(self, frames: list[bytes]) -> None:
        position = str(self._position)
        # After a loss the snapshot may be too old: only the `reset` behind it moves the position.
        if frames and not self._lost:
            frames[-1] = sse.with_id(frames[-1], position)
        frames.append(opening_frame(position, lost=self._lost))
        for frame in frames:
            self._connection.say(frame)
