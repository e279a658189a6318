"""Workers that die, stand still or are stopped beside others: nothing is lost, doubled or left over."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final, get_args

import pytest
import pytest_asyncio

from media_pipeline.failpoints import Failpoint
from tests.acceptance.fleet import PATIENCE, Audience, Fleet, Process, check_remains, fleet_in, report
from tests.acceptance.process import Remains
from tests.integration.program import Api
from tests.servers.postgres import shared_server
from tests.servers.redis import shared_url

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEASE, POLL, GRACE = 2.0, 1.0, 0.5
MOMENT: Final = 0.25
"""Seconds that a machine with much else to do may take to hear a signal."""
BUSY: Final = 2.0
"""Seconds that a small run may be late, for it shares its machine with other tests; a long run may not."""
PASSAGES_A_JOB: Final = {"mid_provider": 8, "before_upload": 2, "mid_upload": 4, "after_upload": 2}
FILM: Final = {"prompt": "waves", "seconds": 2, "fps": 24, "width": 128, "height": 128}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Two services that all tests here share; each test has users and workers of its own."""
    async with fleet_in(
        tmp_path_factory.mktemp("fleet"),
        database=shared_server().create_database("fleet"),
        redis=shared_url(),
        media_lease_seconds=LEASE,
        media_poll_seconds=POLL,
        media_grace_seconds=GRACE,
    ) as fleet:
        await fleet.serve()
        yield fleet
        await asyncio.gather(*(service.stop() for service in fleet.services))


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_worker_left(fleet: Fleet) -> AsyncIterator[None]:
    """Let a test that failed leave no worker to the next one."""
    yield
    await fleet.kill_workers()


@dataclass(frozen=True)
class Death:
    """A worker killed at a failpoint, and the jobs that it held."""

    failpoint: str
    at: float
    held: Sequence[str]


@dataclass
class KillRun:
    """Workers that die at one failpoint after another while the services are asked for pictures."""

    fleet: Fleet
    users: Sequence[str]
    jobs: int
    kills: int
    chance: random.Random
    asked: dict[str, int] = field(default_factory=dict)
    deaths: list[Death] = field(default_factory=list)
    heard: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, *, workers: int) -> None:
        """Ask one service, listen to the other, and let workers die in between."""
        each = self.jobs // len(self.users)
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            audiences, listening = [], []
            for user in self.users:
                here = await stack.enter_async_context(self.fleet.user(user))
                there = await stack.enter_async_context(self.fleet.user(user, service=1))
                audiences.append(Audience(there, each))
                listening.append(group.create_task(audiences[-1].listen()))
                await audiences[-1].listening.wait()
                group.create_task(self._ask(here, each))
            deck = self._deal()
            keepers = [group.create_task(self._keep_one_at_work(deck)) for _ in range(workers)]
            await asyncio.gather(*(audience.heard_all.wait() for audience in audiences))
            await self.fleet.until_settled(self.asked)
            self.over.set()
            await asyncio.gather(*keepers)
            for listener in listening:
                listener.cancel()
        self.heard = sum((audience.ends for audience in audiences), Counter())

    def rescues(self, remains: Remains) -> list[float]:
        """Return the seconds from each death until each job it held was free again, shortest first."""
        jobs = {job["id"]: job for job in remains.jobs}
        seconds = []
        for death in self.deaths:
            for job_id in death.held:
                moments = [*json.loads(jobs[job_id]["crashes"]), jobs[job_id]["finished_at"]]
                seconds.append(min(at / 1e6 for at in moments if at / 1e6 > death.at) - death.at)
        return sorted(seconds)

    async def _ask(self, api: Api, jobs: int) -> None:
        for number in range(jobs):
            n = 1 + (number % 10 == 0)
            self.asked[await api.generate(n=n, seed=number)] = n

    def _deal(self) -> list[tuple[str, int]]:
        """Return where workers are to die: every failpoint equally often, at a random early passage."""
        names: list[str] = []
        while len(names) < self.kills:
            names += self.chance.sample(get_args(Failpoint), len(get_args(Failpoint)))
        del names[self.kills :]
        return [(name, self.chance.randint(1, 4 * PASSAGES_A_JOB.get(name, 1))) for name in names]

    async def _keep_one_at_work(self, deck: list[tuple[str, int]]) -> None:
        while deck and not self.over.is_set():
            name, passage = deck.pop()
            worker = await self.fleet.work("--concurrency", "2", media_failpoint=f"{name}:{passage}")
            await self._see_die(worker, name)
        worker = await self.fleet.work("--concurrency", "2")
        await self.over.wait()
        await worker.stop()

    async def _see_die(self, worker: Process, name: str) -> None:
        dying = asyncio.create_task(worker.process.wait())
        over = asyncio.create_task(self.over.wait())
        await asyncio.wait([dying, over], return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if not dying.done():
            await worker.stop()
            return
        assert dying.result() == -signal.SIGKILL, worker.log.read_text()[-2000:]
        at = time.time()
        self.deaths.append(Death(name, at, await self.fleet.held_by(worker)))


async def check_kills(run: KillRun, *, workers: int, late: float = 0) -> None:
    began = time.monotonic()
    await run.run(workers=workers)
    remains = await run.fleet.remains(run.users)
    aside = check_remains(remains, run.asked)
    assert run.heard == Counter(dict.fromkeys(run.asked, 1))
    rescues = run.rescues(remains)
    p99 = rescues[int(len(rescues) * 0.99)]
    report(
        f"{len(run.asked)} jobs, {len(run.deaths)} kills, {len(rescues)} rescues, p99 {p99:.2f} s, "
        f"{aside} set aside, {time.monotonic() - began:.0f} s; {Counter(d.failpoint for d in run.deaths)}"
    )
    assert len(run.deaths) == run.kills
    assert p99 <= LEASE + 2 * POLL + late


async def test_kills_among_other_workers_lose_and_double_nothing(fleet: Fleet) -> None:
    """A death among 16 jobs of two workers: each ends and is told once, with its objects alone."""
    await check_kills(KillRun(fleet, ["kill-0", "kill-1"], 16, 1, random.Random(7)), workers=2, late=BUSY)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_two_hundred_kills_amid_two_thousand_jobs(fleet: Fleet) -> None:
    """Two hundred deaths over the failpoints among 2,000 jobs of four workers do not either."""
    users = [f"kills-{number}" for number in range(8)]
    await check_kills(KillRun(fleet, users, 2000, 200, random.Random(4)), workers=4)


async def check_standing_still(fleet: Fleet, user: str, *, pause: float) -> None:
    """Let a worker stand still for three leases in the middle of its jobs, and go on when others did them."""
    async with fleet.user(user) as api:
        zombie = await fleet.work()
        async with api.events() as stream:
            jobs = {await api.generate("video", **FILM): 1, **{await api.generate(): 1 for _ in range(3)}}
            await stream.until("generation_progress")
            await asyncio.sleep(pause)
        zombie.signal(signal.SIGSTOP)
        still = asyncio.create_task(asyncio.sleep(3 * LEASE))
        held = [
            row["id"] for row in await fleet.rows("SELECT id FROM jobs WHERE worker_id = %s", zombie.name)
        ]
        other = await fleet.work()
        await fleet.until_settled(jobs)
        await still
        before = await fleet.remains([user])
        zombie.signal(signal.SIGCONT)
        if held:
            await zombie.logged("job.lease_lost")
        await zombie.stop()
        after = await fleet.remains([user])
        assert (after.jobs, after.media) == (before.jobs, before.media)
        assert check_remains(after, jobs) == 0
        await other.stop()


async def test_a_worker_that_stood_still_writes_nothing_late(fleet: Fleet) -> None:
    """What a worker that stood still for three leases brings late is refused: its successor's work stands."""
    await check_standing_still(fleet, "still", pause=0)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_no_late_write_at_any_moment(fleet: Fleet) -> None:
    """Nor at any of 15 random moments of its work."""
    chance = random.Random(5)
    for number in range(15):
        await check_standing_still(fleet, f"stills-{number}", pause=chance.random())


async def check_stops(fleet: Fleet, user: str, *, stops: int, chance: random.Random, late: float = 0) -> None:
    """Stop the only worker again and again in the middle of its jobs, then let one drain the queue."""
    jobs: dict[str, int] = {}
    waits = []
    async with fleet.user(user) as api:
        for _ in range(stops):
            async with api.events() as stream:
                worker = await fleet.work()
                jobs[await api.generate("video", **FILM)] = 1
                jobs |= {await api.generate(): 1 for _ in range(6)}
                await stream.until("generation_progress")
            await asyncio.sleep(chance.random() / 2)
            began = time.monotonic()
            worker.signal(signal.SIGTERM)
            await asyncio.sleep(MOMENT)
            claims = await fleet.count_claims(user)
            assert await worker.ended() == 0, worker.log.read_text()[-2000:]
            waits.append(time.monotonic() - began)
            assert await fleet.count_claims(user) == claims
            assert await fleet.held_by(worker) == []
        drained = await fleet.work("--drain")
        assert await drained.ended(within=20 * PATIENCE) == 0
        await fleet.until_settled(jobs)
    remains = await fleet.remains([user])
    assert check_remains(remains, jobs) == 0
    assert {job["crashes"] for job in remains.jobs} == {"[]"}
    report(f"{stops} stops, ended after {statistics.median(waits):.2f} s, at most {max(waits):.2f} s")
    assert max(waits) <= GRACE + 2 + late


async def test_stopped_workers_give_back_what_they_cannot_finish(fleet: Fleet) -> None:
    """After SIGTERM nothing is claimed, no run is spent, the end is in time, and `--drain` does the rest."""
    await check_stops(fleet, "stop", stops=1, chance=random.Random(6), late=BUSY)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_fifty_stops_at_random_moments(fleet: Fleet) -> None:
    """Nor at any of fifty random moments."""
    await check_stops(fleet, "stops", stops=50, chance=random.Random(7))


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_cancel_reaches_a_running_job_in_another_process_at_once(fleet: Fleet) -> None:
    """What one service is told to cancel stops at a worker within a second, long before its next poll."""
    worker = await fleet.work(media_poll_seconds=60, media_lease_seconds=60)
    waits = []
    async with fleet.user("cancel") as api, api.events() as stream, fleet.user("cancel", service=1) as other:
        for _ in range(3):
            film = await api.generate("video", **FILM | {"seconds": 10})
            await stream.until("generation_progress")
            began = time.monotonic()
            assert (await other.ask("POST", f"/jobs/{film}/cancel")).status_code == 202
            await stream.until("job_cancelled")
            waits.append(time.monotonic() - began)
            assert (await api.job(film))["state"] == "cancelled"
    await worker.stop()
    report(f"cancelled after {', '.join(f'{wait * 1000:.0f} ms' for wait in waits)}")
    assert statistics.median(waits) < 1
