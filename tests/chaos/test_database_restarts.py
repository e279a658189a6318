"""The queue while its server is killed again and again."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import Iterator

import pytest

from media_pipeline.db.database import DatabaseUnavailable, Effect
from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.statements import Statement
from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import Job, JobState, NewJob
from media_pipeline.queue.postgres import PostgresQueue
from media_pipeline.queue.queue import Outcome
from media_pipeline.queue.republisher import Republisher
from media_pipeline.queue.rescuer import Rescuer
from media_pipeline.queue.worker import Worker, WorkerSettings
from tests.servers.postgres import OwnServer, find_binaries

JOBS, KILLS = 600, 4
NOTE = Statement("note", "INSERT INTO notes (job_id) VALUES (:job_id)")


@pytest.fixture
def server() -> Iterator[OwnServer]:
    server = OwnServer(find_binaries())
    server.create()
    yield server
    server.remove()


class Audience:
    """An announcer that settles every end it hears, and says when so many were heard."""

    def __init__(self, queue: PostgresQueue) -> None:
        self._queue = queue
        self._heard = asyncio.Condition()
        self.ends: dict[JobId, JobState] = {}

    async def started(self, job: Job) -> None: ...

    async def lost(self, job: Job) -> None: ...

    async def ended(self, job: Job) -> None:
        await self._queue.settle(job.id)
        async with self._heard:
            self.ends[job.id] = job.state
            self._heard.notify_all()

    async def hear(self, jobs: int) -> None:
        async with self._heard:
            await self._heard.wait_for(lambda: len(self.ends) >= jobs)


async def insist(queue: PostgresQueue, new: NewJob) -> None:
    """Enqueue as a client does that got a 503: the same again."""
    while True:
        try:
            await queue.enqueue(new)
        except DatabaseUnavailable:
            await asyncio.sleep(0.05)
        else:
            return


async def note(run: Run) -> Outcome:
    return Outcome({"number": run.job.payload["number"]}, [Effect(NOTE, {"job_id": run.job.id})])


async def test_kills_of_the_server_lose_and_double_nothing(server: OwnServer) -> None:
    """Of 600 jobs under four kills of the server each succeeds, with its effect, exactly once."""
    database = PostgresDatabase(server.create_database("chaos"))
    await migrate(database)
    await database.execute(Statement("make", "CREATE TABLE notes (job_id TEXT PRIMARY KEY)"), {})
    doorbell = LocalDoorbell()
    queue = PostgresQueue(database, doorbell, window=lambda _kind: 8)
    audience = Audience(queue)
    worker = Worker(
        queue, {"note": note}, audience, doorbell, settings=WorkerSettings(concurrency=8, lease=3.0, poll=0.2)
    )
    rescuer = Rescuer(queue, audience, doorbell, interval=0.2, lease=3.0)
    republisher = Republisher(queue, audience, interval=0.2, patience=0.5)
    parts = [asyncio.create_task(part.run()) for part in (worker, rescuer, republisher)]
    asked = [JobId(str(uuid.uuid4())) for _ in range(JOBS)]
    new = [
        NewJob(id=job_id, user_id=UserId(f"user-{n % 9}"), kind="note", payload={"number": n})
        for n, job_id in enumerate(asked)
    ]
    asking = asyncio.create_task(_ask_all(queue, new))
    for kill in range(1, KILLS + 1):
        await audience.hear(kill * JOBS // (KILLS + 2))
        await asyncio.to_thread(server.stop, signal.SIGQUIT if kill % 2 else signal.SIGINT)
        await asyncio.to_thread(server.start)
    await asking
    await audience.hear(JOBS)
    worker.stop()
    await parts[0]
    for part in parts[1:]:
        part.cancel()
    await asyncio.gather(*parts[1:], return_exceptions=True)
    rows = await database.fetch(Statement("notes", "SELECT job_id FROM notes"), {})
    await database.aclose()
    assert {row["job_id"] for row in rows} == set(asked)
    assert audience.ends == dict.fromkeys(asked, JobState.SUCCEEDED)


async def _ask_all(queue: PostgresQueue, new: list[NewJob]) -> None:
    jobs = iter(new)

    async def ask() -> None:
        for job in jobs:
            await insist(queue, job)

    await asyncio.gather(*(ask() for _ in range(8)))
