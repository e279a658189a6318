"""Readers of a real service are cut and come back, again and again, amid events: no gap, no repeat."""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import Bus
from tests.acceptance.process import started
from tests.servers.redis import RedisServer, redis_server

from .buses import process
from .readers import Reader, port_of
from .test_redis_links import publish


@dataclass
class Storm:
    """How much happens: events are published at `rate` a second until there were enough reconnects."""

    clients: int
    users: int
    rate: int
    reconnects: int
    cuts: int
    stay: float
    port: int = 0
    done: int = 0
    published: list[int] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    dice: random.Random = field(default_factory=lambda: random.Random(4))
    _returned: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def publish_all(self, bus: Bus, user: UserId) -> None:
        """Publish the user's numbered events, at the user's part of the rate."""
        began, number = time.monotonic(), 0
        while not self.over.is_set():
            await publish(bus, user, f"{number}")
            number += 1
            await self._pause(began + number * self.users / self.rate - time.monotonic())
        self.published.append(number)

    async def come_and_go(self, reader: Reader) -> None:
        """Be cut somewhere, in the middle of an event as well, and come back with the position."""
        while not self.over.is_set():
            await self._pause(self.stay * self.dice.uniform(0, 2))
            reader.cut()
            await reader.lost.wait()
            await reader.open(self.port)
            async with self._returned:
                self.done += 1
                self._returned.notify_all()

    async def break_links(self, server: RedisServer) -> None:
        """Cut every link to Redis, evenly among the reconnects; over when there were enough of them."""
        for cut in range(1, self.cuts + 1):
            await self._returns(cut * self.reconnects // (self.cuts + 1))
            await asyncio.to_thread(server.cut)
        await self._returns(self.reconnects)
        self.over.set()

    async def _returns(self, count: int) -> None:
        async with self._returned:
            await self._returned.wait_for(lambda: self.done >= count)

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.over.wait()


async def check_storm(folder: Path, storm: Storm) -> None:
    users = [UserId(f"user{number}") for number in range(storm.users)]
    readers = [Reader(users[number % storm.users]) for number in range(storm.clients)]
    given = {"media_streams_per_user": 2 * storm.clients}
    with redis_server() as redis, started(folder, redis_url=redis.url, **given) as service:
        storm.port = port_of(service)
        async with process(redis) as worker:
            for reader in readers:
                await reader.open(storm.port)
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                group.create_task(storm.break_links(redis))
                for user in users:
                    group.create_task(storm.publish_all(worker.bus, user))
                for reader in readers:
                    group.create_task(storm.come_and_go(reader))
            report(storm, readers, time.monotonic() - began)
            await check_whole(worker.bus, readers, storm)


async def check_whole(bus: Bus, readers: list[Reader], storm: Storm) -> None:
    """Raise unless each reader was told everything from its beginning on, once and in order."""
    for user in {reader.user for reader in readers}:
        await publish(bus, user, "fence")
    for reader in readers:
        if reader.lost.is_set():
            await reader.open(storm.port)
        await reader.until("fence")
        reader.cut()
        numbers = [int(key) for key in reader.keys[:-1]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), (
            "missed, repeated or out of order"
        )
        assert numbers[0] < min(storm.published) // 2, "it heard next to nothing"
        assert not reader.resets, "a kept position did not resume"


def report(storm: Storm, readers: list[Reader], seconds: float) -> None:
    told, heard = sum(storm.published), sum(len(reader.keys) for reader in readers)
    print(f"{storm.done} reconnects, {told / seconds:.0f} events/s, {heard} heard, {seconds:.1f} s")  # noqa: T201 - for -rP


async def test_readers_who_are_cut_and_come_back_miss_and_repeat_nothing(tmp_path: Path) -> None:
    """Amid 300 reconnects and four cut links each of 20 clients hears each change once, in order."""
    await check_storm(tmp_path, Storm(clients=20, users=5, rate=400, reconnects=300, cuts=4, stay=0.08))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("cuts", [0, 15])
async def test_ten_thousand_reconnects_miss_and_repeat_nothing(tmp_path: Path, cuts: int) -> None:
    """The same with 200 clients, 10,000 reconnects and 3,000 events a second, links cut never or 15 times."""
    await check_storm(
        tmp_path, Storm(clients=200, users=50, rate=3000, reconnects=10_000, cuts=cuts, stay=0.6)
    )
