"""A release after another without an hour's rest: `docs/operations.md`, "Rolling upgrade", step by step.

The processes of today play the old release, on tables that a release of tomorrow has changed under them;
those that are started after the change play the new one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from media_pipeline.db.migrate import Migration, find_migrations, migrate
from media_pipeline.db.postgres import PostgresDatabase
from tests.acceptance.fleet import Audience, Fleet, check_remains, fleet_in
from tests.servers.postgres import shared_server
from tests.servers.redis import shared_url

TOMORROW = [
    Migration(9001, "jobs_more", "ALTER TABLE jobs ADD COLUMN IF NOT EXISTS more TEXT"),
    Migration(9002, "media_more", "ALTER TABLE media ADD COLUMN IF NOT EXISTS more TEXT NOT NULL DEFAULT ''"),
    Migration(9003, "workers_more", "ALTER TABLE workers ADD COLUMN IF NOT EXISTS more INT8"),
    Migration(9004, "jobs_more_of", "CREATE INDEX IF NOT EXISTS jobs_more ON jobs (more)"),
    Migration(9005, "media_late", "UPDATE media SET more = 'late' WHERE more = ''", after=True),
]
USER = "ann"


class Traffic:
    """One who asks for pictures all the time, and how each request was answered."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.asked: dict[str, int] = {}
        self.answers: Counter[int] = Counter()
        self.over = asyncio.Event()

    async def go_on(self, service: int) -> None:
        """Ask until it is over, at a service that stays."""
        async with self._fleet.user(USER, service=service) as api:
            while not self.over.is_set():
                body = {"prompt": "a lighthouse", "width": 64, "height": 64}
                answer = await api.ask("POST", "/generate/image", body)
                self.answers[answer.status_code] += 1
                if answer.status_code == 202:
                    self.asked[answer.json()["jobId"]] = 1
                for path in ("/jobs", "/media?q=lighthouse", "/media/usage"):
                    self.answers[(await api.ask("GET", path)).status_code] += 1

    async def further(self, jobs: int) -> None:
        """Wait until so many more jobs have been asked for."""
        goal = len(self.asked) + jobs
        while len(self.asked) < goal:  # noqa: ASYNC110 - whoever asks rings no bell
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("pace", [4, pytest.param(100, marks=pytest.mark.long)])
async def test_an_upgrade_interrupts_nobody(tmp_path: Path, pace: int) -> None:
    """Tables change under work, processes are replaced: no 5xx, no job lost, failed or told twice."""
    database = shared_server().create_database("upgrade")
    async with fleet_in(tmp_path, database=database, redis=shared_url()) as fleet:
        await fleet.serve()
        old = [await fleet.work(), await fleet.work()]
        traffic = Traffic(fleet)
        async with fleet.user(USER, service=1) as listening, asyncio.TaskGroup() as group:
            audience = Audience(listening, jobs=-1)
            ear = group.create_task(audience.listen())
            await audience.listening.wait()
            group.create_task(traffic.go_on(1))
            await traffic.further(pace)
            await change_tables(database, after=False)
            await traffic.further(pace)
            new = [await fleet.work()]
            await old[0].stop()
            await traffic.further(pace)
            await fleet.replace_service(0)
            await old[1].stop()
            await traffic.further(pace)
            await change_tables(database, after=True)
            await traffic.further(pace)
            traffic.over.set()
            await fleet.until_settled(traffic.asked)
            await audience.heard(len(traffic.asked))
            ear.cancel()
        for process in (*new, *fleet.services):
            await process.stop()
        remains = await fleet.remains([USER])
    assert set(traffic.answers) <= {200, 202}, traffic.answers
    assert check_remains(remains, traffic.asked) == 0
    assert {job["failures"] for job in remains.jobs} == {0}
    assert set(audience.ends.values()) == {1}
    assert audience.ends.keys() == traffic.asked.keys()


async def change_tables(url: str, *, after: bool) -> None:
    """Do what `media-pipeline migrate [--after]` of tomorrow's release does."""
    database = PostgresDatabase(url, lines=1)
    try:
        await migrate(database, known=[*find_migrations("postgres"), *TOMORROW], after=after)
    finally:
        await database.aclose()
