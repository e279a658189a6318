"""The queue, and then a whole fleet, while their database is killed again and again."""

from __future__ import annotations

import asyncio
import random
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from media_pipeline.db.database import DatabaseUnavailable, Effect
from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.statements import Statement
from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import Job, JobState, NewJob, WorkerId
from media_pipeline.queue.postgres import PostgresQueue
from media_pipeline.queue.queue import Outcome
from media_pipeline.queue.republisher import Republisher
from media_pipeline.queue.rescuer import Rescuer
from media_pipeline.queue.worker import Worker, WorkerSettings
from tests.acceptance.fleet import check_remains, fleet_in, report
from tests.servers.postgres import OwnServer, postgres_server
from tests.servers.redis import shared_url

from .clients import Clients

JOBS, KILLS = 300, 3
LEASE = 3.0
NOTE = Statement("note", "INSERT INTO notes (job_id) VALUES (:job_id)")


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with postgres_server() as server:
        yield server


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
    """Of 300 jobs under three kills of the server each succeeds, with its effect, exactly once."""
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


class Rounds(PostgresQueue):
    """A queue that tells when a rescuer's round is over."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database, LocalDoorbell())
        self.over = asyncio.Condition()

    async def next_due(self) -> float | None:
        due = await super().next_due()
        async with self.over:
            self.over.notify_all()
        return due

    async def round(self) -> None:
        async with asyncio.timeout(30), self.over:
            await self.over.wait()


async def test_an_outage_longer_than_a_lease_is_nobodys_death(server: OwnServer) -> None:
    """After an outage of two leases a worker beats before anybody judges it, whoever of three comes first."""
    databases = [PostgresDatabase(server.create_database("outage"))]
    await migrate(databases[0])
    databases += [PostgresDatabase(databases[0].url) for _ in range(3)]
    mine, *others = (Rounds(database) for database in databases)
    lease = 2.0
    async with asyncio.TaskGroup() as group:
        rescuers = [Rescuer(queue, Audience(queue), LocalDoorbell(), lease=lease) for queue in others]
        tending = [group.create_task(rescuer.run()) for rescuer in rescuers]
        await asyncio.gather(*(queue.round() for queue in others))
        began = time.monotonic()
        while time.monotonic() < began + lease:
            await asyncio.gather(*(queue.round() for queue in others))  # from here on they judge
        worker = WorkerId("worker")
        await mine.register(worker, lease_seconds=lease)
        await insist(mine, NewJob(id=JobId("j"), user_id=UserId("ann"), kind="note", payload={}))
        (job,) = await mine.claim(worker, {"note": 1}, limit=1)
        await mine.record(job.fence, [])  # durable, and so is the claim, which waits for no disk
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        await asyncio.sleep(2 * lease)
        await asyncio.to_thread(server.start)
        await asyncio.gather(*(queue.round() for queue in others))
        await mine.beat(worker, lease_seconds=60)
        await asyncio.gather(*(queue.round() for queue in others))
        assert (await mine.finish(job.fence, Outcome({}))).attempt == 1
        for task in tending:
            task.cancel()
    await asyncio.gather(*(database.aclose() for database in databases))


async def _ask_all(queue: PostgresQueue, new: list[NewJob]) -> None:
    jobs = iter(new)

    async def ask() -> None:
        for job in jobs:
            await insist(queue, job)

    await asyncio.gather(*(ask() for _ in range(8)))


async def check_restarts(
    folder: Path, server: OwnServer, *, seconds: float, workers: int, every: float
) -> None:
    chance = random.Random(8)
    database = server.create_database("fleet")
    async with fleet_in(folder, database=database, redis=shared_url(), media_lease_seconds=LEASE) as fleet:
        await fleet.serve()
        at_work = await asyncio.gather(*(fleet.work() for _ in range(workers)))
        clients = Clients(fleet)
        users = [f"user-{number}" for number in range(max(2, workers))]
        async with asyncio.TaskGroup() as group:
            for number, user in enumerate(users):
                group.create_task(clients.use(user, service=number % 2))
            until, restarts = time.monotonic() + seconds, 0
            while time.monotonic() < until:
                await asyncio.sleep(chance.uniform(0.3, 1) * every)
                restarts += 1
                await asyncio.to_thread(server.stop, chance.choice([signal.SIGQUIT, signal.SIGINT]))
                await asyncio.sleep(chance.uniform(0, 1))
                await asyncio.to_thread(server.start)
            clients.over.set()
        await fleet.until_settled(clients.asked)
        for process in (*at_work, *fleet.services):
            await process.stop()
        report(f"{restarts} restarts, {len(clients.asked)} jobs, answers {dict(clients.answers)}")
        assert clients.wrong == []
        assert clients.answers[503] > 0
        # A worker without its database gives its jobs up, and what it still writes may cost the next run.
        remains = await fleet.remains(users)
        assert check_remains(remains, clients.asked, spent=1) == 0
        assert {job["crashes"] for job in remains.jobs} == {"[]"}, "an outage is nobody's death"


async def test_the_api_answers_while_its_database_restarts(server: OwnServer, tmp_path: Path) -> None:
    """While the database restarts, services answer or say 503 with Retry-After, and every job ends once."""
    await check_restarts(tmp_path, server, seconds=3, workers=1, every=1.5)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_two_minutes_of_restarts_under_load(server: OwnServer, tmp_path: Path) -> None:
    """Two minutes of a restart every few seconds change nothing of that."""
    await check_restarts(tmp_path, server, seconds=120, workers=4, every=6)
