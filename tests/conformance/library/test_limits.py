"""What limits promise on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import msgspec
import pytest

from media_pipeline.clock import Clock
from media_pipeline.db.database import Database
from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.db.statements import Statement
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.limits import DAY, Allowance, LimitReached, Limits, RequestRate
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.job import Attempt, Job, JobState, NewJob, Priority
from media_pipeline.queue.postgres import PostgresQueue
from media_pipeline.queue.queue import Queue
from media_pipeline.queue.sqlite import SqliteQueue
from tests.clocks import FakeClock
from tests.conformance.library.test_library import ANN, BOB

NOON = 20_000 * DAY + DAY / 2


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[Database]:
    database: Database = SqliteDatabase(clock=clock)
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("url"), clock=clock)
    await database.open()
    await migrate(database)
    for table in ("expenses", "request_counts", "jobs"):
        await database.execute(Statement("empty", f"DELETE FROM {table}"), {})
    yield database
    await database.aclose()


@pytest.fixture
def queue(database: Database) -> Queue:
    bell = LocalDoorbell()
    if isinstance(database, PostgresDatabase):
        return PostgresQueue(database, bell)
    assert isinstance(database, SqliteDatabase)
    return SqliteQueue(database, bell)


Open = Callable[[Limits], Allowance]


@pytest.fixture
def allowance(database: Database, queue: Queue, clock: Clock) -> Open:
    """Open the books; every picture is expected to cost a quarter of a dollar."""

    async def expect(new: NewJob) -> float:
        count = new.payload.get("n", 1)
        assert isinstance(count, int)
        return 0.25 * count

    return lambda limits: Allowance(database, queue, clock=clock, limits=limits, expect=expect)


def pictures(name: str, n: int = 1, *, user: UserId = ANN, kind: str = "generate.image") -> NewJob:
    return NewJob(id=JobId(name), user_id=user, kind=kind, payload={"n": n})


def ended(new: NewJob, state: JobState = JobState.SUCCEEDED, **facts: object) -> Job:
    job = Job(
        id=new.id,
        user_id=new.user_id,
        kind=new.kind,
        state=state,
        priority=Priority.NORMAL,
        payload=new.payload,
        attempt=1,
        failures=0,
        max_failures=5,
        created_at=0.0,
    )
    return msgspec.structs.replace(job, **facts)


async def admitted(allowance: Allowance, new: NewJob) -> bool:
    try:
        await allowance.promise(new)
    except LimitReached:
        return False
    return True


async def left(allowance: Allowance, user: UserId = ANN) -> dict[str, float]:
    return {each.name: each.left for each in await allowance.standings(user)}


@pytest.mark.parametrize(
    "limits", [Limits(jobs=10), Limits(items=10), Limits(spend=2.5), Limits(1, 10, 10, 2.5)]
)
async def test_exactly_the_limit_is_admitted(allowance: Open, limits: Limits) -> None:
    """Of 200 jobs that come at once by two ways exactly ten are let in, and another user's too."""
    one, two = allowance(limits), allowance(limits)
    answers = await asyncio.gather(
        *(admitted((one, two)[number % 2], pictures(f"j{number}")) for number in range(200))
    )
    assert sum(answers) == 10
    assert all(amount == 0 for amount in (await left(one)).values())
    assert await admitted(one, pictures("his", user=BOB))


async def test_what_does_not_fit_is_refused_by_name(allowance: Open) -> None:
    """A refusal says which limit it was, how much is left of it and when there may be room."""
    books = allowance(Limits(jobs=3, items=8, spend=1.75))
    await books.promise(pictures("one", 5))
    with pytest.raises(LimitReached, match=r"leave 3; the day ends") as items:
        await books.promise(pictures("two", 4))
    assert (items.value.reason, items.value.retry_after) == ("daily_items_used", DAY / 2)
    with pytest.raises(LimitReached, match=r"\$1\.75 at providers leave \$0\.50") as spend:
        await books.promise(pictures("two", 3))
    assert spend.value.reason == "daily_spend_used"
    await books.promise(pictures("two", 2))
    await books.promise(pictures("import", kind="import"))
    with pytest.raises(LimitReached, match="3 of your jobs wait or run") as jobs:
        await books.promise(pictures("import2", kind="import"))
    assert (jobs.value.reason, jobs.value.retry_after) == ("too_many_jobs", 5.0)
    assert await left(books) == {"jobs": 0, "items": 1, "spend": 0}


async def test_an_end_gives_back_what_was_not_used(allowance: Open) -> None:
    """Made and told counts; what was not made is free again, and told twice is as told once."""
    books = allowance(Limits(jobs=9, items=8, spend=2.0))
    jobs = [pictures(f"j{number}", 2) for number in range(4)]
    for new in jobs:
        await books.promise(new)
    assert await left(books) == {"jobs": 5, "items": 0, "spend": 0}
    made = ended(jobs[0], result={"items": [1, 2], "cost": 0.1})
    for _ in range(2):
        await books.settle(made)
    await books.settle(ended(jobs[1], result={"items": [1]}))
    await books.settle(ended(jobs[2], JobState.FAILED))
    await books.settle(ended(jobs[3], JobState.CANCELLED))
    assert await left(books) == {"jobs": 9, "items": 5, "spend": pytest.approx(1.4)}


PAID = Attempt(number=1, provider="p", model="m", started_at=0.0, submitting=True)


@pytest.mark.parametrize(
    ("attempt", "spent"),
    [
        (msgspec.structs.replace(PAID, final=True, code="result_expired"), 0.25),
        (msgspec.structs.replace(PAID, cancel="too_late"), 0.25),
        (msgspec.structs.replace(PAID, code="interrupted"), 0.25),
        (msgspec.structs.replace(PAID, cancel="cancelled"), 0),
        (msgspec.structs.replace(PAID, code="content_policy_input"), 0),
        (msgspec.structs.replace(PAID, submitting=False), 0),
    ],
)
async def test_what_may_have_been_paid_is_not_given_back(
    allowance: Open, attempt: Attempt, spent: float
) -> None:
    """A job without a result costs what its provider may charge for, and no items."""
    books = allowance(Limits(items=1, spend=1.0))
    await books.promise(pictures("job"))
    await books.settle(ended(pictures("job"), JobState.FAILED, attempts=[attempt]))
    assert await left(books) == {"items": 1, "spend": 1.0 - spent}


async def test_a_provider_that_charges_more_closes_the_day(allowance: Open) -> None:
    """What was not foreseen is counted all the same: no further job is let in, and nothing is below zero."""
    books = allowance(Limits(spend=1.0))
    await books.promise(pictures("dear"))
    await books.settle(ended(pictures("dear"), result={"items": [1], "cost": 7.5}))
    assert await left(books) == {"spend": 0}
    assert not await admitted(books, pictures("next"))
    assert await admitted(books, pictures("import", kind="import"))


async def test_a_day_begins_at_midnight(allowance: Open, queue: Queue, clock: FakeClock) -> None:
    """Items begin anew at midnight UTC; unfinished jobs stay unfinished, and what ended is forgotten."""
    books = allowance(Limits(jobs=2, items=1))
    await books.promise(pictures("today"))
    await queue.enqueue(pictures("today"))
    clock.advance(DAY / 2 - 1)
    assert not await admitted(books, pictures("late"))
    clock.advance(2)
    assert await left(books) == {"jobs": 1, "items": 1}
    await books.forget_old()
    assert await left(books) == {"jobs": 1, "items": 1}
    await books.settle(ended(pictures("today"), result={"items": [1]}))
    await books.forget_old()
    assert await left(books) == {"jobs": 2, "items": 1}


async def test_what_a_dead_process_promised_is_found(allowance: Open, queue: Queue, clock: FakeClock) -> None:
    """At the limit, jobs that were never enqueued are struck out once they are old; enqueued ones stay."""
    books = allowance(Limits(jobs=2))
    there = pictures("there")
    await books.promise(there)
    await queue.enqueue(there)
    await books.promise(pictures("lost"))
    assert not await admitted(books, pictures("next"))
    clock.advance(61)
    assert await admitted(books, pictures("next"))
    assert not await admitted(books, pictures("more"))


async def test_without_limits_nothing_is_written(allowance: Open, database: Database) -> None:
    """No limit, no books."""
    books = allowance(Limits())
    await books.promise(pictures("job"))
    assert await books.standings(ANN) == []
    assert await database.fetch(Statement("all", "SELECT job_id FROM expenses"), {}) == []


async def test_exactly_the_requests_of_a_minute_are_taken(database: Database, clock: FakeClock) -> None:
    """Of 200 requests at once by two ways 50 are taken; each later minute is another."""
    ways = [RequestRate(database, clock=clock, limit=50) for _ in range(2)]

    async def taken(number: int) -> bool:
        try:
            await ways[number % 2].take(ANN)
        except LimitReached:
            return False
        return True

    assert sum(await asyncio.gather(*map(taken, range(200)))) == 50
    (standing,) = await ways[0].standing(ANN)
    assert (standing.left, standing.resets) == (0, 60)
    assert await ways[0].take(BOB) == replace(standing, left=49)
    for step in (60, 3600):
        clock.advance(step)
        assert (await ways[1].standing(ANN))[0].left == 50
        assert await taken(0)
