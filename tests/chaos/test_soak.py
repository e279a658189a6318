"""Hours of the same: what a process holds stays the same, and the last jobs take no longer than the first."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from media_pipeline.environment import read_settings
from media_pipeline.ids import UserId
from media_pipeline.program import Program
from media_pipeline.realtime.sse import ServerSentEvent
from tests.acceptance.fleet import PATIENCE, Fleet, Process, check_remains, fleet_in, report
from tests.acceptance.process import SECRET
from tests.integration.program import TERMINAL, Api
from tests.servers.gcs_server import gcs_server
from tests.servers.postgres import shared_server
from tests.servers.redis import redis_server

from .readers import Reader

MINUTES: Final = float(os.environ.get("SOAK_MINUTES", "30"))
JOBS_A_SECOND: Final = float(os.environ.get("SOAK_RATE", "20"))
STREAMS: Final = 500
USERS: Final = 50
WARM: Final = 30.0
"""Seconds before anything is measured: code is loaded, caches fill."""
GROWTH: Final = 4.0
"""MiB that a process may hold more at last; allocators breathe."""


@dataclass(frozen=True, slots=True)
class Sample:
    at: float
    memory: float
    files: int


def look_at(process: Process) -> Sample:
    """Return what a process holds now: memory of its own in MiB, descriptors."""
    folder = Path("/proc") / str(process.process.pid)
    pages = int((folder / "statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return Sample(time.monotonic(), memory, len(list((folder / "fd").iterdir())))


def grown(samples: Sequence[Sample]) -> float:
    """Return how many MiB more a process held in its last third than in its first, on average."""
    third = len(samples) // 3
    first, last = ([each.memory for each in part] for part in (samples[:third], samples[-third:]))
    return statistics.mean(last) - statistics.mean(first)


@dataclass
class Load:
    """Jobs at an even rate, and when each was asked for and told."""

    asked: dict[str, int] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    behind: float = 0.0

    def hear(self, event: ServerSentEvent) -> None:
        if event.event in TERMINAL:
            self.ended.setdefault(json.loads(event.data)["jobId"], time.monotonic())

    async def ask(self, apis: Sequence[Api], seconds: float) -> None:
        """Ask for pictures, each user in turn, whether or not the earlier ones are done."""
        start, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while (due := number / JOBS_A_SECOND) < seconds:
                late = time.monotonic() - start - due
                self.behind = max(self.behind, late)
                await asyncio.sleep(max(0.0, -late))
                group.create_task(self._ask_one(apis[number % len(apis)]))
                number += 1

    async def _ask_one(self, api: Api) -> None:
        began = time.monotonic()
        job = await api.generate()
        self.asked[job] = 1
        self.began[job] = began

    def p99(self, since: float, until: float) -> float:
        """Return the seconds from asking to hearing, of jobs asked in between."""
        took = sorted(self.ended[job] - began for job, began in self.began.items() if since <= began < until)
        return took[int(len(took) * 0.99)]


async def sample(processes: Sequence[Process], samples: dict[str, list[Sample]], every: float) -> None:
    while True:
        for process in processes:
            samples.setdefault(process.name, []).append(look_at(process))
        await asyncio.sleep(every)


async def open_streams(fleet: Fleet, users: Sequence[str], load: Load) -> list[Reader]:
    port = int(fleet.address.rpartition(":")[2])
    readers = [Reader(UserId(users[number % len(users)]), hear=load.hear) for number in range(STREAMS)]
    for first in range(0, len(readers), 50):
        await asyncio.gather(*(reader.open(port) for reader in readers[first : first + 50]))
    return readers


async def check_soak(folder: Path, *, minutes: float) -> None:
    """Over a bucket, for each process over a folder holds a catalog of all that is in it."""
    seconds, users = 60 * minutes, [f"soak-{number}" for number in range(USERS)]
    database = shared_server().create_database("soak")
    with redis_server() as redis, gcs_server() as gcs:
        bucket = {
            "gcs_bucket": gcs.new_bucket(),
            "gcs_service_account_json": gcs.account,
            "storage_emulator_host": gcs.url,
        }
        settings = read_settings(auth_jwt_secret=SECRET, database_url=database, redis_url=redis.url, **bucket)
        async with AsyncExitStack() as stack:
            fleet = await stack.enter_async_context(
                fleet_in(
                    folder,
                    database=database,
                    redis=redis.url,
                    store=lambda: Program(settings).store,
                    media_streams_per_user=STREAMS,
                    **bucket,
                )
            )
            worker, _ = await asyncio.gather(fleet.work("--concurrency", "8"), fleet.serve(services=1))
            apis = [await stack.enter_async_context(fleet.user(user)) for user in users]
            load, samples = Load(), dict[str, list[Sample]]()
            readers = await open_streams(fleet, users, load)
            await load.ask(apis, WARM)
            began = time.monotonic()
            sampling = asyncio.create_task(sample([worker, *fleet.services], samples, seconds / 60))
            await load.ask(apis, seconds)
            sampling.cancel()
            await fleet.until_settled(load.asked)
            async with asyncio.timeout(PATIENCE):
                while load.ended.keys() != load.asked.keys():  # noqa: ASYNC110 - every end is heard
                    await asyncio.sleep(0.1)
            first = load.p99(began, began + seconds / 3)
            last = load.p99(began + 2 * seconds / 3, began + seconds)
            report(
                f"{len(load.asked)} jobs, at most {load.behind:.2f} s behind; p99 {first:.3f}, {last:.3f} s"
            )
            tenths = [began + seconds * tenth / 10 for tenth in range(11)]
            report("p99 by tenths " + " ".join(f"{load.p99(*each):.3f}" for each in pairwise(tenths)))
            for name, seen in samples.items():
                report(
                    f"{name}: {seen[0].memory:.0f} to {seen[-1].memory:.0f} MiB ({grown(seen):+.1f}), "
                    f"{seen[0].files} to {seen[-1].files} descriptors, at most {max(s.files for s in seen)}"
                )
            assert not any(reader.lost.is_set() for reader in readers)
            for reader in readers:
                reader.cut()
            for process in (worker, *fleet.services):
                await process.stop()
            assert check_remains(await fleet.remains(users), load.asked) == 0
    assert last <= 1.2 * first
    for seen in samples.values():
        assert grown(seen) <= GROWTH
        assert seen[-1].files <= seen[0].files + 10


@pytest.mark.long
@pytest.mark.timeout(max(1800, 120 * MINUTES))
async def test_a_soak_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """At 20 jobs a second with 500 streams memory and descriptors stay flat and jobs as fast as at first."""
    await check_soak(tmp_path, minutes=MINUTES)
