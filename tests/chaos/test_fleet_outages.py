"""Redis dies or is cut off under two services and a worker, each a process: every watcher knows every end."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from media_pipeline.ids import UserId
from media_pipeline.realtime.sse import ServerSentEvent
from tests.acceptance.fleet import PATIENCE, Fleet, fleet_in
from tests.integration.program import TERMINAL, Api
from tests.servers.postgres import shared_server
from tests.servers.redis import RedisServer, redis_server

from .readers import Reader
from .test_redis_outages import fall_silent, lose_everything

STEPS = {"job_queued": 0, "generation_started": 1, "generation_complete": 2}
ENDED = {"succeeded", "failed", "cancelled"}


class Watcher:
    """A client as the contract wants it: it believes events, and after `reset` it reads the jobs."""

    def __init__(self, api: Api, port: int) -> None:
        self.known: set[str] = set()
        self.twice: list[str] = []
        self.disorder: list[str] = []
        self.resets = 0
        self._api = api
        self._port = port
        self._steps: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._reset = asyncio.Event()
        self._reader = Reader(UserId(api.user), hear=self._hear)

    async def watch(self) -> None:
        """Watch until cancelled; what goes wrong on the way is raised."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_jobs())
            group.create_task(self._follow())

    async def until_watching(self) -> None:
        await self._reader.opened.wait()

    async def until_known(self, jobs: set[str]) -> None:
        while not jobs <= self.known:
            self._changed.clear()
            await self._changed.wait()

    async def _follow(self) -> None:
        """Read the stream, and come back whenever it ends."""
        try:
            while True:
                with suppress(OSError):
                    await self._reader.open(self._port)
                    await self._reader.lost.wait()
                await asyncio.sleep(self._reader.retry_ms / 1000)  # as the server said
        finally:
            self._reader.cut()

    def _hear(self, event: ServerSentEvent) -> None:
        if event.event == "reset":
            self.resets += 1
            self._steps.clear()
            self._reset.set()
        elif event.event in STEPS or event.event in TERMINAL:
            self._take(event.event, json.loads(event.data)["jobId"])

    def _take(self, name: str, job: str) -> None:
        step = STEPS.get(name, 2)
        before = self._steps.get(job, -1)
        (self.twice if step == before else self.disorder if step < before else []).append(f"{job} {name}")
        self._steps[job] = step
        if name in TERMINAL:
            self.known.add(job)
            self._changed.set()

    async def _read_jobs(self) -> None:
        while True:
            await self._reset.wait()
            self._reset.clear()
            cursor: str | None = ""
            while cursor is not None:
                page = await self._api.get(f"/jobs?limit=100{cursor and '&cursor=' + cursor}")
                self.known |= {job["jobId"] for job in page["jobs"] if job["state"] in ENDED}
                cursor = page["nextCursor"]
            self._changed.set()


async def check_outage(
    folder: Path, outage: Callable[[RedisServer], Awaitable[None]], *, jobs: int, watchers: int
) -> None:
    database = shared_server().create_database("outages")
    with redis_server() as redis:
        async with fleet_in(folder, database=database, redis=redis.url) as fleet, AsyncExitStack() as stack:
            serving = fleet.serve(media_streams_per_user=watchers)
            await asyncio.gather(serving, fleet.work("--concurrency", "4"))
            users = [f"user{number}" for number in range(5)]
            apis = [
                [await stack.enter_async_context(fleet.user(user, service=service)) for user in users]
                for service in (0, 1)
            ]
            watching = await stack.enter_async_context(watched(fleet, apis, watchers))
            asked = [await apis[number % 2][number % 5].generate() for number in range(jobs)]
            await fleet.until_settled(asked[: jobs // 4])
            await outage(redis)
            await check_told(fleet, watching, asked, jobs // 4)


async def check_told(fleet: Fleet, watching: list[tuple[Watcher, str]], asked: list[str], amid: int) -> None:
    healed = time.monotonic()
    rows = await fleet.rows("SELECT id, user_id FROM jobs WHERE finished_at IS NOT NULL")
    assert amid <= len(rows) < len(asked), "the outage did not come amid the work"
    async with asyncio.timeout(5):
        for watcher, user in watching:
            await watcher.until_known({row["id"] for row in rows if row["user_id"] == user})
    print(f"every end known {time.monotonic() - healed:.2f} s after healing")  # noqa: T201 - for -rP
    await fleet.until_settled(asked)
    owners = {row["id"]: row["user_id"] for row in await fleet.rows("SELECT id, user_id FROM jobs")}
    async with asyncio.timeout(PATIENCE):
        for watcher, user in watching:
            await watcher.until_known({job for job in asked if owners[job] == user})
    assert not [line for watcher, _ in watching for line in watcher.twice]
    assert not [line for watcher, _ in watching for line in watcher.disorder]


@asynccontextmanager
async def watched(
    fleet: Fleet, apis: Sequence[Sequence[Api]], watchers: int
) -> AsyncIterator[list[tuple[Watcher, str]]]:
    """Let watchers watch, half of them at each service; one that fails fails the test."""
    ports = [int(service.name.rpartition(":")[2]) for service in fleet.services]
    places = [(number % 2, number % len(apis[0])) for number in range(watchers)]
    watching = [(Watcher(apis[at][user], ports[at]), apis[at][user].user) for at, user in places]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watcher.watch()) for watcher, _ in watching]
        async with asyncio.timeout(PATIENCE):
            for watcher, _ in watching:
                await watcher.until_watching()
        yield watching
        for task in tasks:
            task.cancel()


async def test_an_empty_redis_amid_work_hides_no_end(tmp_path: Path) -> None:
    """Redis is killed and back empty amid 12 jobs: within 5 s four watchers of two services know each end."""
    await check_outage(tmp_path, lose_everything, jobs=12, watchers=4)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_an_empty_redis_amid_a_thousand_jobs_hides_no_end(tmp_path: Path) -> None:
    """The same amid 1,000 jobs with 50 watchers; order is kept and nothing comes twice."""
    await check_outage(tmp_path, lose_everything, jobs=1000, watchers=50)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_half_a_minute_without_redis_amid_a_thousand_jobs_hides_no_end(tmp_path: Path) -> None:
    """Redis answers nothing for 30 s amid 1,000 jobs with 50 watchers: the same."""
    await check_outage(tmp_path, partial(fall_silent, seconds=30), jobs=1000, watchers=50)
