"""Redis dies or is cut off under two services and a worker, each a process: every watcher knows every end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance.fleet import PATIENCE, Fleet, fleet_in
from tests.servers.postgres import shared_server
from tests.servers.redis import RedisServer, redis_server

from .test_redis_outages import fall_silent, lose_everything
from .watchers import Watcher, watched


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
