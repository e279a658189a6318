"""When a claim on a SQL server looks before it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager

import pytest

from media_pipeline.db.database import Row
from media_pipeline.db.postgres import Columns, PostgresDatabase
from media_pipeline.db.retry import OutcomeUnknown
from media_pipeline.db.statements import Statement
from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.job import Job, NewJob, Priority, WorkerId
from media_pipeline.queue.postgres import PostgresQueue
from media_pipeline.queue.postgres_claims import RECENT
from media_pipeline.queue.queue import LeaseLost
from tests.clocks import FakeClock
from tests.conformance.queue.postgres_engines import PLAIN, prepare

ANN = WorkerId("ann")


class WatchedDatabase(PostgresDatabase):
    """It notes the names of the statements that it runs; of those at the places `lost`, answers get lost."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.ran: list[str] = []
        self.lost: Container[int] = ()

    async def write(
        self, statement: Statement, params: Columns, *, repeatable: bool = False, quick: bool = False
    ) -> list[Row]:
        self.ran.append(statement.name)
        rows = await super().write(statement, params, repeatable=repeatable, quick=quick)
        if len(self.ran) in self.lost:
            raise OutcomeUnknown("The database went away.")
        return rows


class Process:
    """One process's queue, and a worker in it with one free slot."""

    def __init__(self, url: str) -> None:
        self.clock = FakeClock()
        self.database = WatchedDatabase(url)
        self.doorbell = LocalDoorbell()
        self.queue = PostgresQueue(self.database, self.doorbell, clock=self.clock)

    async def ask(self, name: str, priority: Priority = Priority.NORMAL, *, kind: str = "image") -> None:
        user = UserId(f"user-of-{name}")
        await self.queue.enqueue(
            NewJob(id=JobId(name), user_id=user, kind=kind, payload={}, priority=priority)
        )

    async def claim(self, *, slots: int = 1) -> list[Job]:
        return await self.queue.claim(ANN, {"image": slots}, limit=slots)

    async def lose(self, *answers: int, slots: int = 1) -> None:
        """Claim while the answers of some of its statements get lost."""
        self.database.ran.clear()
        self.database.lost = answers
        with pytest.raises(OutcomeUnknown):
            await self.claim(slots=slots)
        self.database.lost = ()

    async def ran(self) -> list[str]:
        """Claim once; return what that ran."""
        self.database.ran.clear()
        await self.claim()
        return self.database.ran


@asynccontextmanager
async def process_on(url: str) -> AsyncIterator[Process]:
    process = Process(url)
    yield process
    await process.database.aclose()


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    async with process_on(await prepare(PLAIN)) as process:
        await process.queue.register(ANN, lease_seconds=60)
        yield process


async def test_a_lane_in_full_flow_is_not_looked_at_again(process: Process) -> None:
    """While claims are filled from the one lane with work, each is one statement; a moment later it looks."""
    for number in range(4):
        await process.ask(f"job-{number}")
    assert await process.ran() == ["look", "claim"]
    assert await process.ran() == ["claim"]
    process.clock.advance(RECENT)
    assert await process.ran() == ["look", "claim"]


async def test_a_ring_makes_the_next_claim_look(process: Process) -> None:
    """What rings may be better than the lane in flow."""
    for number in range(3):
        await process.ask(f"job-{number}")
    assert await process.ran() == ["look", "claim"]
    process.doorbell.ring("work")
    assert await process.ran() == ["look", "claim"]


async def test_two_lanes_with_work_are_looked_at_each_time(process: Process) -> None:
    """Where more than one lane has work, who goes first is looked at anew."""
    await process.ask("low", Priority.LOW)
    for number in range(2):
        await process.ask(f"job-{number}")
    assert await process.ran() == ["look", "claim"]
    assert await process.ran() == ["look", "claim"]


async def test_a_lane_that_ran_dry_is_looked_at_again(process: Process) -> None:
    """A claim that the lane in flow cannot fill looks for more, and finds what another process keeps."""
    await process.ask("job")
    assert await process.ran() == ["look", "claim"]
    async with process_on(process.database.url) as elsewhere:
        await elsewhere.ask("low", Priority.LOW)
    process.database.ran.clear()
    assert [job.id for job in await process.claim()] == ["low"]
    assert process.database.ran == ["claim", "look", "claim"]


async def test_a_look_says_nothing_of_kinds_it_did_not_ask_for(process: Process) -> None:
    """A kind that has slots again is looked at, and goes first when its lane is better."""
    for number in range(2):
        await process.ask(f"low-{number}", Priority.LOW)
    await process.ask("video", kind="video")
    await process.claim()
    claimed = await process.queue.claim(ANN, {"image": 1, "video": 1}, limit=1)
    assert [job.id for job in claimed] == ["video"]


async def test_a_claim_beside_another_in_flow_gets_what_there_is(process: Process) -> None:
    """When the lane in flow fills one claim of a round and not the other, more is looked for."""
    bob = WorkerId("bob")
    await process.queue.register(bob, lease_seconds=60)
    for number in range(2):
        await process.ask(f"job-{number}")
    await process.claim()
    async with process_on(process.database.url) as elsewhere:
        await elsewhere.ask("low", Priority.LOW)
    claims = [process.queue.claim(worker, {"image": 1}, limit=1) for worker in (ANN, bob)]
    assert sorted(job.id for jobs in await asyncio.gather(*claims) for job in jobs) == ["job-1", "low"]


async def test_a_lost_lease_is_noticed_a_moment_later(process: Process) -> None:
    """A worker whose lease was taken is refused as soon as its claims look again."""
    for number in range(3):
        await process.ask(f"job-{number}")
    await process.claim()
    await process.queue.retire(ANN)
    process.clock.advance(RECENT)
    with pytest.raises(LeaseLost):
        await process.claim()


async def test_what_an_outage_cut_off_is_told_by_the_next_claim(process: Process) -> None:
    """A claim that took from one lane and broke off in the next told nobody; the next one tells of both."""
    await process.ask("job")
    await process.ask("low", Priority.LOW)
    await process.lose(3, 4, slots=2)
    assert process.database.ran == ["look", "claim", "claim", "held"]
    assert sorted(job.id for job in await process.claim(slots=2)) == ["job", "low"]


async def test_what_a_dead_worker_was_to_be_told_is_told_when_it_lives_again(process: Process) -> None:
    """A run that was found for a worker without a lease waits for the worker to have one."""
    await process.ask("job")
    await process.lose(2, 3)
    async with process_on(process.database.url) as elsewhere:
        await elsewhere.queue.retire(ANN)
    with pytest.raises(LeaseLost):
        await process.claim()
    await process.queue.register(ANN, lease_seconds=60)
    assert [job.id for job in await process.claim()] == ["job"]
