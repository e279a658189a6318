"""An outlet that obeys, time that passes second by second, and short ways to make messages."""

import asyncio

from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.bus import Message
from media_pipeline.realtime.sse import Decoder, ServerSentEvent, encode_frame
from tests.clocks import FakeClock

ANN = UserId("ann")
BOB = UserId("bob")
JOB = JobId("job")


class FakeOutlet:
    """A reader: `writes` is what it was given; while `slow` it asks to wait after each write."""

    def __init__(self, *, slow: bool = False) -> None:
        self.writes: list[bytes] = []
        self.slow = slow
        self.fate = "open"
        self.left = 0

    def waiting(self) -> int:
        return self.left

    def write(self, data: bytes) -> bool:
        assert self.fate == "open", "written after the end"
        self.writes.append(data)
        return not self.slow

    def end(self) -> None:
        self.fate = "ended"

    def abort(self) -> None:
        self.fate = "aborted"

    @property
    def events(self) -> list[ServerSentEvent]:
        return Decoder().feed(b"".join(self.writes))

    @property
    def names(self) -> list[str]:
        return [event.event for event in self.events]

    @property
    def data(self) -> list[str]:
        return [event.data for event in self.events]


async def settle() -> None:
    """Let everything that can run, run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def elapse(clock: FakeClock, seconds: int) -> None:
    """Let `seconds` pass one by one, with everything that each of them brings."""
    for _ in range(seconds):
        await settle()
        clock.advance(1)
    await settle()


def state(key: str, *, job: JobId = JOB, user: UserId = ANN, size: int = 0) -> Message:
    data = f'"{key}{" " * size}"'.encode()
    return Message(user, job, encode_frame("state", data), key)


def progress(number: int, *, job: JobId = JOB, slot: str = "progress") -> Message:
    return Message(ANN, job, encode_frame("progress", b"%d" % number), None, slot=f"{job}/{slot}")
