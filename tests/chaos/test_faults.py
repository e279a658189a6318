"""Each fault of a network between a fleet and its database, its Redis, its bucket, amid work."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.acceptance.fleet import PATIENCE, check_remains, report
from tests.servers.postgres import postgres_server
from tests.servers.proxy import Fault, FaultProxy

from .clients import Clients
from .watchers import watched
from .world import World, world_in

pytestmark = pytest.mark.asyncio(loop_scope="module")
FAULTS = {
    "latency": Fault(latency=0.05, jitter=0.05),
    "bandwidth": Fault(bandwidth=40_000),
    "cut_after": Fault(cut_after=2000),
    "silent": Fault(silent=True),
    "deaf": Fault(deaf=True),
    "refuse": Fault(refuse=True),
}
HOLD = 0.6
"""Seconds that a fault stays at least, and after it has met somebody."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One service and two workers that all tests here share."""
    with postgres_server() as server:
        async with world_in(
            tmp_path_factory.mktemp("faults"), server, media_lease_seconds=10, media_streams_per_user=20
        ) as world:
            fleet = world.fleet
            at_work, _ = await asyncio.gather(
                asyncio.gather(*(fleet.work() for _ in range(2))), fleet.serve(services=1)
            )
            yield world
            for process in (*at_work, *fleet.services):
                await process.stop()


async def let_happen(proxy: FaultProxy, name: str) -> None:
    """Let a fault happen until it has met somebody, and end what it left hanging."""
    met = proxy.met
    proxy.set(FAULTS[name])
    if name in {"cut_after", "deaf", "refuse"}:
        proxy.reset()  # else nobody comes anew, or sends enough
        async with asyncio.timeout(PATIENCE):
            while proxy.met == met:  # noqa: ASYNC110 - a count gives no signal
                await asyncio.sleep(0.01)
    await asyncio.sleep(HOLD)
    proxy.heal()
    proxy.reset()


@pytest.mark.parametrize("behind", ["database", "redis", "storage"])
async def test_no_fault_loses_doubles_or_hides_a_job(world: World, behind: str) -> None:
    """Slow, cut, silent, deaf, refused: each job ends once and is told, nothing is left, nothing is a 500."""
    fleet, users = world.fleet, [f"{behind}-{number}" for number in range(4)]
    clients = Clients(fleet)
    async with AsyncExitStack() as stack:
        apis = [[await stack.enter_async_context(fleet.user(user)) for user in users]]
        watching = await stack.enter_async_context(watched(fleet, apis, 4))
        async with asyncio.TaskGroup() as group:
            for user in users:
                group.create_task(clients.use(user, pause=0.05))
            for name in random.Random(9).sample(sorted(FAULTS), len(FAULTS)):
                await let_happen(world.proxies[behind], name)
            clients.over.set()
        healed = time.monotonic()
        await fleet.until_settled(clients.asked)
        settled = time.monotonic() - healed
        remains = await fleet.remains(users)
        owners = {job["id"]: job["user_id"] for job in remains.jobs}
        async with asyncio.timeout(PATIENCE):
            for watcher, user in watching:
                await watcher.until_known({job for job in clients.asked if owners[job] == user})
    report(f"{behind}: {len(clients.asked)} jobs, settled {settled:.1f} s after, {dict(clients.answers)}")
    assert clients.wrong == []
    assert check_remains(remains, clients.asked, spent=3) == 0
    assert [line for watcher, _ in watching for line in (*watcher.twice, *watcher.disorder)] == []
