"""A receiver that writes down everything and complains of what the protocol forbids."""

import asyncio
from collections.abc import Sequence

from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.bus import Bus, Message, Opening, Position, Subscription
from media_pipeline.realtime.sse import encode_frame

ANN = UserId("ann")
BOB = UserId("bob")


def state(key: str, *, user: UserId = ANN) -> Message:
    """Build a change of state whose key and job are `key`."""
    return Message(user, JobId(key), encode_frame("happened", f'"{key}"'.encode()), key)


def progress(slot: str, *, user: UserId = ANN) -> Message:
    return Message(user, JobId(slot), encode_frame("moved", b"1"), None, slot=slot)


class Recorder:
    """One reader: `keys` is what it has seen since its beginning, `positions` where each one stood."""

    def __init__(self) -> None:
        self.openings: list[Opening] = []
        self.keys: list[str] = []
        self.positions: list[str] = []
        self.progress: list[str] = []
        self.frames: list[bytes] = []
        self._came = asyncio.Event()

    def open(self, opening: Opening, position: Position, missed: Sequence[Message]) -> None:
        assert opening is Opening.RESUMED or not missed, "only a resumption brings what was missed"
        self.openings.append(opening)
        if opening is not Opening.RESUMED:
            self.positions.append(str(position))
        for message in missed:
            assert message.key is not None, "progress was replayed"
            self.receive(message)

    def receive(self, message: Message) -> None:
        assert self.openings, "a message came before the beginning"
        if message.key is None:
            assert message.position is None
            self.progress.append(message.slot or "")
        else:
            assert message.position is not None
            self.keys.append(message.key)
            self.positions.append(str(message.position))
        self.frames.append(message.frame)
        self._came.set()

    async def until(self, key: str) -> None:
        """Wait for the message with `key`."""
        async with asyncio.timeout(5):
            while key not in self.keys:
                self._came.clear()
                await self._came.wait()


async def listen(bus: Bus, *, user: UserId = ANN, since: str | None = None) -> tuple[Recorder, Subscription]:
    recorder = Recorder()
    return recorder, await bus.subscribe(user, recorder, since=since)
