"""Everything fails at once, for as long as `CHAOS_MINUTES` says: real processes, real work, nothing lost."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.fleet import PATIENCE, Process, check_remains, report
from tests.servers.postgres import postgres_server
from tests.servers.proxy import Fault

from .clients import Clients
from .watchers import watched
from .world import World, world_in

MINUTES: Final = float(os.environ.get("CHAOS_MINUTES", "20"))
JOBS_A_MINUTE: Final = 250
WORKERS: Final = 4
USERS: Final = 8
STORE_FAULTS: Final[list[dict[str, Any]]] = [
    *(
        {"kind": kind, "share": 0.03}
        for kind in ("unavailable", "too_many", "reset", "lost", "cut", "broken")
    ),
    {"kind": "stall", "share": 0.02, "seconds": 5.0},
]
"""A fifth of all requests: those that one rule spares meet the next. No bits are turned, for a PUT of a
browser carries no checksum."""


@dataclass
class Chaos:
    """What goes wrong, by the dice, until it is over."""

    world: World
    chance: random.Random
    over: asyncio.Event = field(default_factory=asyncio.Event)
    workers: list[Process] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    async def begin(self, group: asyncio.TaskGroup) -> None:
        self.workers = list(await asyncio.gather(*(self._new_worker() for _ in range(WORKERS))))
        self.world.gcs.inject(*STORE_FAULTS, seed=self.chance.randrange(1000))
        group.create_task(self._repeat(self._restart_database, 5, 40))
        group.create_task(self._repeat(self._cut_redis, 10, 30))
        group.create_task(self._repeat(self._empty_redis, 30, 60))
        group.create_task(self._repeat(self._fall_silent, 30, 60))
        group.create_task(self._repeat(self._kill_worker, 8, 25))

    async def _repeat(self, harm: Callable[[], Awaitable[None]], least: float, most: float) -> None:
        while True:
            try:
                async with asyncio.timeout(self.chance.uniform(least, most)):
                    await self.over.wait()
            except TimeoutError:
                await harm()
                self.done[harm.__name__.strip("_")] += 1
            else:
                return

    async def _restart_database(self) -> None:
        server = self.world.server
        await asyncio.to_thread(server.stop, self.chance.choice([signal.SIGQUIT, signal.SIGINT]))
        await asyncio.sleep(self.chance.uniform(0, 2))
        await asyncio.to_thread(server.start)

    async def _cut_redis(self) -> None:
        self.world.proxies["redis"].reset()

    async def _empty_redis(self) -> None:
        await asyncio.to_thread(self.world.redis.kill)
        await asyncio.sleep(self.chance.uniform(0, 2))
        await asyncio.to_thread(self.world.redis.start)

    async def _fall_silent(self) -> None:
        """What stood between is gone without a word, for good; new connections come through."""
        proxy = self.world.proxies[self.chance.choice(["database", "redis", "storage"])]
        proxy.set(Fault(silent=True))
        await asyncio.sleep(self.chance.uniform(0, 2))
        proxy.heal()

    async def _kill_worker(self) -> None:
        place = self.chance.randrange(len(self.workers))
        self.workers[place].signal(signal.SIGKILL)
        await self.workers[place].ended()
        await asyncio.sleep(self.chance.uniform(0, 2))
        self.workers[place] = await self._new_worker()

    async def _new_worker(self) -> Process:
        """Start a worker, again where its database is away just then, as a supervisor does."""
        while True:
            try:
                return await self.world.fleet.work("--concurrency", "3")
            except AssertionError:
                self.done["starts_again"] += 1
                await asyncio.sleep(0.2)


@asynccontextmanager
async def chaos_in(folder: Path, *, seed: int) -> AsyncIterator[Chaos]:
    given = {"media_lease_seconds": 5, "media_streams_per_user": 20, "media_user_jobs": 12}
    with postgres_server() as server:
        async with world_in(folder, server, **given) as world:
            await world.fleet.serve()
            yield Chaos(world, random.Random(seed))


async def check_chaos(folder: Path, *, minutes: float, seed: int) -> None:
    users = [f"user-{number}" for number in range(USERS)]
    async with chaos_in(folder, seed=seed) as chaos, AsyncExitStack() as stack:
        fleet = chaos.world.fleet
        clients = Clients(fleet, side=200)
        apis = [
            [await stack.enter_async_context(fleet.user(user, service=service)) for user in users]
            for service in (0, 1)
        ]
        watching = await stack.enter_async_context(watched(fleet, apis, 2 * USERS))
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            await chaos.begin(group)
            asking = [
                group.create_task(clients.use(user, service=number % 2)) for number, user in enumerate(users)
            ]
            until = began + 60 * minutes
            while time.monotonic() < until or len(clients.asked) < JOBS_A_MINUTE * minutes:
                if len(clients.asked) >= JOBS_A_MINUTE * minutes:
                    clients.over.set()  # enough was asked, the chaos goes on
                await asyncio.sleep(0.5)
            clients.over.set()
            await asyncio.gather(*asking)
            chaos.over.set()
        healed = time.monotonic()
        chaos.world.gcs.inject()
        report(f"{healed - began:.0f} s of chaos: {dict(chaos.done)}; {len(clients.asked)} jobs asked")
        await fleet.until_settled(clients.asked)
        report(f"settled {time.monotonic() - healed:.1f} s after it")
        owners = {row["id"]: row["user_id"] for row in await fleet.rows("SELECT id, user_id FROM jobs")}
        async with asyncio.timeout(PATIENCE):
            for watcher, user in watching:
                await watcher.until_known({job for job in clients.asked if owners[job] == user})
        report(f"everybody told {time.monotonic() - healed:.1f} s after it")
        for process in (*chaos.workers, *fleet.services):
            await process.stop()
        left = await chaos.world.orphans(users)
        swept = await chaos.world.sweep()
        remains = await fleet.remains(users)
        report(f"answers {dict(clients.answers)}, slowest {clients.slowest:.1f} s; PUTs {dict(clients.puts)}")
        report(f"{len(left)} orphans before the sweep, which removed {swept}: {sorted(left)[:5]}")
        report(f"runs spent {Counter(job['failures'] for job in remains.jobs)}")
        assert clients.wrong == []
        assert check_remains(remains, clients.asked, spent=4) == 0
        assert [line for watcher, _ in watching for line in (*watcher.twice, *watcher.disorder)] == []


@pytest.mark.long
@pytest.mark.timeout(max(1800, 180 * MINUTES))
async def test_chaos_loses_doubles_and_hides_nothing(tmp_path: Path) -> None:
    """Under restarts, cuts, silences, kills and a store that fails a fifth: each job once, everybody told."""
    await check_chaos(tmp_path, minutes=MINUTES, seed=11)
