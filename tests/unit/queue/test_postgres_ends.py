"""How often ends on a SQL server go over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from media_pipeline.db.database import Effect, Row
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.session import Session, Values
from media_pipeline.db.statements import Statement
from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.job import Job, NewJob, WorkerId
from media_pipeline.queue.postgres import PostgresQueue
from media_pipeline.queue.queue import LeaseLost, Outcome
from tests.conformance.queue.postgres_engines import PLAIN, prepare

ANN = WorkerId("ann")
NOTE = Statement("note", "INSERT INTO notes (text) SELECT * FROM unnest(:text::TEXT[])", rows=True)


@pytest.fixture
async def database() -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(await prepare(PLAIN))
    yield database
    await database.aclose()


@pytest.fixture
def bursts(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The first words of the statements that were sent together."""
    sent: list[list[str]] = []
    burst = Session.burst

    async def watched(self: Session, statements: Sequence[tuple[str, Values]]) -> list[list[Row]]:
        sent.append([text.split(maxsplit=1)[0] for text, _ in statements])
        return await burst(self, statements)

    monkeypatch.setattr(Session, "burst", watched)
    return sent


async def claim(queue: PostgresQueue, jobs: int) -> list[Job]:
    await queue.register(ANN, lease_seconds=60)
    for number in range(jobs):
        new = NewJob(id=JobId(f"{number}"), user_id=UserId(f"user-{number}"), kind="image", payload={})
        await queue.enqueue(new)
    return await queue.claim(ANN, {"image": jobs}, limit=jobs)


async def finish(queue: PostgresQueue, jobs: Sequence[Job]) -> list[Job | BaseException]:
    ends = (queue.finish(job.fence, Outcome({}, [Effect(NOTE, {"text": job.id})])) for job in jobs)
    return await asyncio.gather(*ends, return_exceptions=True)


async def test_ends_and_their_effects_are_sent_together(
    database: PostgresDatabase, bursts: list[list[str]]
) -> None:
    """Ends of runs whose fences hold are one burst, whatever they write beside them."""
    queue = PostgresQueue(database, LocalDoorbell())
    jobs = await claim(queue, 5)
    await finish(queue, jobs)
    assert bursts == [["UPDATE", "INSERT"]]


async def test_effects_wait_for_the_ends_when_a_fence_does_not_hold(
    database: PostgresDatabase, bursts: list[list[str]]
) -> None:
    """When one run was given away, the others end in two steps, and nothing of its own is written."""
    queue = PostgresQueue(database, LocalDoorbell())
    stale, *others = await claim(queue, 5)
    await queue.release(stale.fence)
    late, *ends = await finish(queue, [stale, *others])
    assert isinstance(late, LeaseLost)
    assert [isinstance(end, Job) for end in ends] == [True] * 4
    assert bursts == [["UPDATE", "INSERT"], ["UPDATE"], ["INSERT"]]
    notes = await database.fetch(Statement("notes", "SELECT text FROM notes ORDER BY text"), {})
    assert [note["text"] for note in notes] == [job.id for job in others]
