"""What workers together may ask of a provider, on every database."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from media_pipeline.db.database import Database, DatabaseUnavailable, Params, Row
from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.db.statements import Statement
from media_pipeline.generation.fleet import FAILURES, LEASE, LOOK, REST, DatabaseFleet
from media_pipeline.generation.provider import ErrorCode, ProviderError
from tests.clocks import FakeClock
from tests.servers.postgres import shared_server


@pytest.fixture(scope="module")
def url() -> str:
    return shared_server().create_database("fleet")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[Database]:
    database: Database = SqliteDatabase()
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("url"), clock=clock)
    await database.open()
    await migrate(database)
    for table in ("provider_slots", "provider_health"):
        await database.execute(Statement("empty", f"DELETE FROM {table}"), {})
    yield database
    await database.aclose()


def member(database: Database, clock: FakeClock, *, limit: int = 2) -> DatabaseFleet:
    """One worker process of the fleet."""
    return DatabaseFleet(database, clock=clock, limits={"acme": limit}, chance=lambda: 0.0)


def failing(reason: ErrorCode, *, retry_after: float | None = None) -> ProviderError:
    return ProviderError(reason, "It failed.", provider="acme", retry_after=retry_after)


async def admit(fleet: DatabaseFleet, *, patience: float = 0.0) -> None:
    """Give the provider a new job that takes no time."""
    async with fleet.slot("acme", patience=patience):
        pass


async def refused(fleet: DatabaseFleet, *, patience: float = 0.0) -> tuple[ErrorCode, float]:
    with pytest.raises(ProviderError) as caught:
        await admit(fleet, patience=patience)
    assert not caught.value.sent
    return caught.value.reason, round(caught.value.retry_after or 0.0)


async def test_the_limit_holds_over_workers(database: Database, clock: FakeClock) -> None:
    """With every slot held, also by others, the next attempt waits until one is given back."""
    one, two, three = (member(database, clock) for _ in range(3))
    async with AsyncExitStack() as holding:
        await holding.enter_async_context(one.slot("acme", patience=None))
        async with two.slot("acme", patience=None):
            waiting = asyncio.ensure_future(holding.enter_async_context(three.slot("acme", patience=None)))
            await clock.until_sleeping()
            assert not waiting.done()
        clock.advance(LOOK)
        await waiting


@pytest.mark.parametrize(
    ("reason", "times", "closed"),
    [
        (ErrorCode.RATE_LIMITED, 1, ErrorCode.RATE_LIMITED),
        (ErrorCode.NETWORK, FAILURES, ErrorCode.OVERLOADED),
    ],
)
async def test_what_is_learnt_in_the_line_holds(
    reason: ErrorCode, times: int, closed: ErrorCode, database: Database, clock: FakeClock
) -> None:
    """Whoever waited for a slot asks nothing of a provider that wants to be left alone, or rests, by then."""
    one, two = member(database, clock, limit=1), member(database, clock, limit=1)
    async with one.slot("acme", patience=None):
        waiting = asyncio.ensure_future(refused(two))
        await clock.until_sleeping()
        for _ in range(times):
            await one.learn("acme", failing(reason, retry_after=9))
    clock.advance(LOOK)
    assert (await waiting)[0] is closed


async def test_a_job_that_a_provider_has_is_followed_while_it_rests(
    database: Database, clock: FakeClock
) -> None:
    """What was taken is followed to its end, however the provider stands."""
    fleet = member(database, clock)
    await fleet.learn("acme", failing(ErrorCode.RATE_LIMITED, retry_after=60))
    async with fleet.slot("acme", patience=None):
        assert await refused(fleet) == (ErrorCode.RATE_LIMITED, 60)


async def test_whoever_is_stopped_while_taking_holds_nothing(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot that was taken for somebody who is gone is free again, and not renewed for ever."""
    fleet, execute = member(database, clock, limit=1), database.execute
    taken = asyncio.Event()

    async def slow(statement: Statement, params: Params) -> list[Row]:
        changed = await execute(statement, params)
        if statement.name == "take":
            taken.set()
            await asyncio.Event().wait()
        return changed

    monkeypatch.setattr(database, "execute", slow)
    taking = asyncio.ensure_future(admit(fleet))
    await taken.wait()
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    monkeypatch.undo()
    await admit(member(database, clock, limit=1))


async def test_a_database_that_is_away_loses_no_result(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How a call went is worth less than what it brought: when it cannot be noted, the run goes on."""

    async def away(*_: object) -> list[Row]:
        raise DatabaseUnavailable("It is away.")

    monkeypatch.setattr(database, "execute", away)
    await member(database, clock).learn("acme", failing(ErrorCode.NETWORK))


async def test_a_provider_without_a_limit_has_no_slots(database: Database, clock: FakeClock) -> None:
    """A provider that is not limited lets everybody in."""
    fleet = member(database, clock)
    async with (
        fleet.slot("other", patience=0),
        fleet.slot("other", patience=0),
        fleet.slot("other", patience=0),
    ):
        assert await database.fetch(Statement("all", "SELECT * FROM provider_slots"), {}) == []


async def test_a_dead_worker_s_slots_come_back(database: Database, clock: FakeClock) -> None:
    """Slots that nobody renews are free when their lease is over."""
    await member(database, clock, limit=1)._take("acme")  # and never heard of again
    async with AsyncExitStack() as holding:
        slot = member(database, clock, limit=1).slot("acme", patience=None)
        waiting = asyncio.ensure_future(holding.enter_async_context(slot))
        await clock.until_sleeping()
        clock.advance(LEASE + 1)
        await waiting


async def test_a_living_worker_keeps_its_slots(database: Database, clock: FakeClock) -> None:
    """Slots that are renewed stay held for longer than a lease."""
    living, other = member(database, clock, limit=1), member(database, clock, limit=1)
    async with living.slot("acme", patience=None):
        keeping = asyncio.ensure_future(living.keep())
        for _ in range(5):
            await clock.until_sleeping()
            clock.advance(LEASE / 3)
        await clock.until_sleeping()
        waiting = asyncio.ensure_future(other._take("acme"))
        await clock.until_sleeping(2)
        assert not waiting.done()
        for task in (keeping, waiting):
            task.cancel()
        await asyncio.gather(keeping, waiting, return_exceptions=True)


async def test_one_is_told_to_wait_and_all_do(database: Database, clock: FakeClock) -> None:
    """`Retry-After` that one worker got holds for the others, and never becomes shorter."""
    one, two = member(database, clock), member(database, clock)
    await one.learn("acme", failing(ErrorCode.RATE_LIMITED, retry_after=20))
    await one.learn("acme", failing(ErrorCode.RATE_LIMITED, retry_after=5))
    assert await refused(two) == (ErrorCode.RATE_LIMITED, 20)
    waiting = asyncio.ensure_future(admit(two, patience=30))
    await clock.until_sleeping()
    clock.advance(20.1)
    await waiting


async def test_failures_in_a_row_make_a_provider_rest(database: Database, clock: FakeClock) -> None:
    """After so many failures of any workers nobody asks; then one does, and what it finds holds for all."""
    fleet = [member(database, clock) for _ in range(3)]
    for number in range(FAILURES):
        await admit(fleet[number % 3])
        await fleet[number % 3].learn("acme", failing(ErrorCode.NETWORK))
    for each in fleet:
        assert (await refused(each))[0] is ErrorCode.OVERLOADED
    clock.advance(REST + 1)
    await admit(fleet[0])
    assert (await refused(fleet[1]))[0] is ErrorCode.OVERLOADED
    await fleet[0].learn("acme", None)
    await admit(fleet[1])


async def test_a_good_call_ends_the_row(database: Database, clock: FakeClock) -> None:
    """Failures that are not in a row make nobody rest."""
    fleet = member(database, clock)
    for _ in range(FAILURES):
        await fleet.learn("acme", failing(ErrorCode.OVERLOADED))
        await fleet.learn("acme", None)
    await admit(fleet)


@pytest.mark.parametrize(
    "reason", [ErrorCode.POLICY_INPUT, ErrorCode.INVALID_REQUEST, ErrorCode.GONE, ErrorCode.PROVIDER]
)
async def test_a_request_s_own_failure_is_not_the_provider_s(
    reason: ErrorCode, database: Database, clock: FakeClock
) -> None:
    """What one request or one model brought on itself does not make the provider rest for others."""
    fleet = member(database, clock)
    for _ in range(FAILURES):
        await fleet.learn("acme", failing(reason))
    await admit(fleet)


async def test_three_processes_keep_one_limit(url: str) -> None:
    """Three processes on one PostgreSQL never hold more slots together than there are, and hold them all."""
    database = PostgresDatabase(url)
    await database.open()
    await migrate(database)
    await database.execute(Statement("empty", "DELETE FROM provider_slots"), {})
    await database.aclose()
    changes: asyncio.Queue[str] = asyncio.Queue()

    async def follow(process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            changes.put_nowait(line.decode().strip())
        assert await process.wait() == 0

    command = [sys.executable, "-m", "tests.conformance.fleet.worker", url, "4", "10"]
    processes = [await asyncio.create_subprocess_exec(*command, stdout=PIPE) for _ in range(3)]
    await asyncio.gather(*map(follow, processes))
    held = most = total = 0
    while not changes.empty():
        change = 1 if changes.get_nowait() == "+" else -1
        held, most, total = held + change, max(most, held + change), total + (change == 1)
    assert total == 30
    assert most <= 4
