"""What waits to be written to one reader.

State frames keep their order and are never dropped here; progress is conflated to the newest of its
slot, and a change of a job's state takes the place of that job's waiting progress. Whoever owns the
backlog decides when it is too much.
"""

from __future__ import annotations

from media_pipeline.ids import JobId
from media_pipeline.realtime.bus import Message


class Backlog:
    """Frames in the order in which they go out; `size` counts their bytes."""

    __slots__ = ("_frames", "_next", "_slots", "size")

    def __init__(self) -> None:
        self.size = 0
        self._next = 0
        self._frames: dict[int, bytes] = {}
        self._slots: dict[JobId | None, dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, message: Message) -> None:
        """Add a message, instead of waiting progress that it makes old."""
        if message.key is not None:
            self._supersede(message.job_id)
        elif message.slot is not None:
            self._conflate(message.job_id, message.slot)
        self.add(message.frame)

    def add(self, frame: bytes) -> None:
        """Add a frame that replaces nothing."""
        self._frames[self._next] = frame
        self._next += 1
        self.size += len(frame)

    def take(self) -> bytes:
        """Empty the backlog into one piece of bytes."""
        frames = self._frames.values()
        # One frame for one reader is the shared object itself, not a copy.
        joined = next(iter(frames)) if len(frames) == 1 else b"".join(frames)
        self._frames.clear()
        self._slots.clear()
        self.size = 0
        return joined

    def _supersede(self, job_id: JobId | None) -> None:
        if job_id is None or not self._slots:
            return
        for number in self._slots.pop(job_id, {}).values():
            self._drop(number)

    def _conflate(self, job_id: JobId | None, slot: str) -> None:
        slots = self._slots.setdefault(job_id, {})
        if (waiting := slots.get(slot)) is not None:
            self._drop(waiting)
        slots[slot] = self._next

    def _drop(self, number: int) -> None:
        self.size -= len(self._frames.pop(number))
