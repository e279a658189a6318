"""The link to Redis is cut, again and again, amid publishing: nobody misses or repeats anything."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import Bus, BusError, Opening
from tests.conformance.bus.recorder import Recorder, state
from tests.servers.redis import RedisServer, redis_server

from .buses import process


@dataclass
class Storm:
    """How much happens; `rate` is state messages a second of all users together."""

    clients: int
    users: int
    each: int
    rate: int
    cuts: int
    reconnects: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    dice: random.Random = field(default_factory=lambda: random.Random(4))

    async def publish_all(self, bus: Bus, user: UserId) -> None:
        for number in range(self.each):
            await self.pause(self.users / self.rate)
            await publish(bus, user, f"{number}")

    async def come_and_go(self, bus: Bus, user: UserId, stay: float) -> Recorder:
        seen = Recorder()
        subscription = await bus.subscribe(user, seen)
        while not self.over.is_set():
            await self.pause(stay * self.dice.uniform(0, 2))
            subscription.close()
            await asyncio.sleep(0)
            subscription = await bus.subscribe(user, seen, since=seen.positions[-1])
            self.reconnects += 1
        return seen

    async def cut(self, server: RedisServer) -> None:
        for _ in range(self.cuts):
            await self.pause(self.each * self.users / self.rate / self.cuts)
            await asyncio.to_thread(server.cut)

    async def pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.over.wait()


async def publish(bus: Bus, user: UserId, key: str) -> None:
    """Publish until it succeeds, as whoever committed a change of state does."""
    while True:
        with suppress(BusError):
            return await bus.publish(state(key, user=user))


async def check_storm(storm: Storm, *, stay: float) -> None:
    with redis_server() as server:
        async with process(server, history=storm.each) as worker, process(server) as service:
            users = [UserId(f"user{number}") for number in range(storm.users)]
            clients = [
                asyncio.create_task(storm.come_and_go(service.bus, users[number % storm.users], stay))
                for number in range(storm.clients)
            ]
            await asyncio.gather(storm.cut(server), *(storm.publish_all(worker.bus, user) for user in users))
            storm.over.set()
            for number, seen in enumerate(await asyncio.gather(*clients)):
                await publish(worker.bus, users[number % storm.users], "fence")
                await seen.until("fence")
                check(seen, storm.each)


def check(seen: Recorder, last: int) -> None:
    """Raise unless everything from the beginning on came once, in order, and no position was lost."""
    first = last + 1 - len(seen.keys)
    expected = [*(str(number) for number in range(first, last)), "fence"]
    assert seen.keys == expected, "missed, repeated or out of order"
    assert Opening.RESET not in seen.openings, "a kept position did not resume"


async def test_cut_links_lose_and_repeat_nothing() -> None:
    """While every link is cut six times, readers who come and go see each change once, in order."""
    storm = Storm(clients=40, users=8, each=150, rate=1200, cuts=6)
    await check_storm(storm, stay=0.05)
    assert storm.reconnects > 200


@pytest.mark.long
@pytest.mark.parametrize("cuts", [0, 15])
async def test_two_hundred_clients_and_ten_thousand_reconnects(cuts: int) -> None:
    """200 clients, 3,000 changes a second, every link cut not at all or 15 times: no gap and no repeat."""
    storm = Storm(clients=200, users=50, each=900, rate=3000, cuts=cuts)
    await check_storm(storm, stay=0.2)
    assert storm.reconnects > 10_000
