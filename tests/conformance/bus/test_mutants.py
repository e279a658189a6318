"""The suite must notice the two mistakes that every hand-made event bus makes first."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import Bus, Message, Opening, Position, Receiver, Subscription

from .engines import ENGINES
from .recorder import Recorder
from .storm import check_storm


@dataclass
class _Sound:
    """A bus that hands everything to a sound one; mutants break `subscribe`."""

    inner: Bus

    async def publish(self, message: Message) -> None:
        await self.inner.publish(message)

    async def subscribe(
        self, user_id: UserId, receiver: Receiver, *, since: str | None = None
    ) -> Subscription:
        return await self.inner.subscribe(user_id, receiver, since=since)

    async def forget(self, user_id: UserId) -> None:
        await self.inner.forget(user_id)

    async def aclose(self) -> None:
        await self.inner.aclose()


class _Live:
    """Let live messages through and keep the beginning to itself."""

    def __init__(self, receiver: Receiver) -> None:
        self.receive = receiver.receive

    def open(self, opening: Opening, position: Position, missed: Sequence[Message]) -> None:
        pass


class _Beginning(Recorder):
    """Take the beginning only, to hand it to somebody else."""

    def open(self, opening: Opening, position: Position, missed: Sequence[Message]) -> None:
        self.tell: Callable[[Receiver], None] = lambda receiver: receiver.open(opening, position, missed)

    def receive(self, message: Message) -> None:
        pass


class LiveBeforeReplay(_Sound):
    """Deliver what is live while the history is still being read."""

    async def subscribe(
        self, user_id: UserId, receiver: Receiver, *, since: str | None = None
    ) -> Subscription:
        if since is None:
            return await super().subscribe(user_id, receiver)
        subscription = await self.inner.subscribe(user_id, _Live(receiver))
        await asyncio.sleep(0)
        beginning = _Beginning()
        (await self.inner.subscribe(user_id, beginning, since=since)).close()
        beginning.tell(receiver)
        return subscription


class HistoryBeforeSubscribe(_Sound):
    """Read the history first and listen afterwards."""

    async def subscribe(
        self, user_id: UserId, receiver: Receiver, *, since: str | None = None
    ) -> Subscription:
        beginning = _Beginning()
        (await self.inner.subscribe(user_id, beginning, since=since)).close()
        beginning.tell(receiver)
        await asyncio.sleep(0)
        return await self.inner.subscribe(user_id, _Live(receiver))


async def test_the_harness_itself_is_sound(bus: Bus) -> None:
    """A bus that only hands on passes, so that what fails below fails for its mistake."""
    await check_storm(_Sound(bus), seed=0)


@pytest.mark.parametrize("mutant", [LiveBeforeReplay, HistoryBeforeSubscribe])
@pytest.mark.parametrize("engine", list(ENGINES))
async def test_the_suite_catches(mutant: type[_Sound], engine: str) -> None:
    """A bus with this mistake fails the storm, whatever the seed."""
    for seed in range(3):
        async with ENGINES[engine]() as bus:
            with pytest.raises(AssertionError, match=r"missed|resume"):
                await check_storm(mutant(bus), seed=seed)
