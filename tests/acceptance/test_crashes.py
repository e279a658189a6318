"""`kill -9` at any moment: after a restart every job ends once, and rows and objects agree."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import httpx2
import pytest

from media_pipeline.failpoints import Failpoint
from tests.acceptance.process import Service, look_into, moved, started
from tests.integration.program import Api, Wire, picture

PASSAGES = {"after_claim": 3, "mid_provider": 8, "before_upload": 3, "after_upload": 3}
"""At which passage the process dies, where the second is too early to have brought anything."""


@contextmanager
def lost_with_the_process() -> Iterator[None]:
    """Let a request fail because its service died."""
    with suppress(httpx2.TransportError):
        yield


@dataclass
class Workload:
    """What a client asked for, and so must find done: items by job, and uploads to go on with."""

    expected: dict[str, int] = field(default_factory=dict)
    uploads: list[Wire] = field(default_factory=list)

    async def generate(self, api: Api, *, n: int = 1, key: str) -> None:
        """Ask for pictures; asking again with the same key is asking once."""
        body = {"prompt": f"a lighthouse {key}", "width": 64, "height": 64, "n": n}
        with lost_with_the_process():
            answer = await api.ask("POST", "/generate/image", body, headers={"Idempotency-Key": key})
            assert answer.status_code == 202, answer.text
            self.expected[answer.json()["jobId"]] = n

    async def upload(self, api: Api, *, key: str) -> None:
        """Begin an upload and bring its bytes."""
        body = {"filename": "a.png", "contentType": "image/png"}
        with lost_with_the_process():
            answer = await api.ask("POST", "/media/upload/init", body, headers={"Idempotency-Key": key})
            assert answer.status_code == 200, answer.text
            permission = answer.json()
            if permission["jobId"] not in self.expected:
                self.expected[permission["jobId"]] = 1
                self.uploads.append(permission)
                await self._bring(api, permission)

    async def go_on(self, service: Service, api: Api) -> None:
        """Bring again what may not have arrived, and complete it."""
        for permission in self.uploads:
            answer = await api.complete(permission)
            if answer.status_code == 409:
                await self._bring(api, moved(permission, service))

    async def until_ended(self, api: Api) -> None:
        """Wait for the terminal event of every job, and see that there is one."""
        gate = asyncio.Semaphore(8)

        async def follow(job_id: str) -> None:
            async with gate:
                history = [frame.name for frame in await api.history(job_id) if frame.id]
            assert history[-1] in {"generation_complete", "upload_complete"}, history

        await asyncio.gather(*map(follow, self.expected))

    async def _bring(self, api: Api, permission: Wire) -> None:
        assert (await api.put(permission, picture())).status_code == 200
        assert (await api.complete(permission)).status_code == 200


async def ask_for_a_batch(api: Api, work: Workload) -> None:
    asked = [work.generate(api, n=1 + number % 2, key=f"g{number}") for number in range(4)]
    await asyncio.gather(*asked, *(work.upload(api, key=f"u{number}") for number in range(2)))


async def finish(folder: Path, work: Workload) -> None:
    """Start the service again, let everything end, stop it and look at what is left."""
    with started(folder) as service:
        async with service.user("ann") as api:
            await ask_again(api, work)
            await work.go_on(service, api)
            await work.until_ended(api)
        service.signal(signal.SIGTERM)
        assert await service.ended() == 0
    (await look_into(folder)).check_whole(work.expected)


async def ask_again(api: Api, work: Workload) -> None:
    """Repeat a request whose answer may have been lost: a POST that was accepted is found by its key."""
    for number in range(4):
        await work.generate(api, n=1 + number % 2, key=f"g{number}")
    for number in range(2):
        await work.upload(api, key=f"u{number}")


@pytest.mark.parametrize("name", get_args(Failpoint))
async def test_a_kill_at_a_failpoint_loses_and_doubles_nothing(name: Failpoint, tmp_path: Path) -> None:
    """Killed at this point, the restarted program ends every job once, with its objects and no other."""
    work = Workload()
    with started(tmp_path, media_failpoint=f"{name}:{PASSAGES.get(name, 2)}") as service:
        async with service.user("ann") as api:
            await ask_for_a_batch(api, work)
        assert await service.ended() == -signal.SIGKILL
    await finish(tmp_path, work)


async def kill_and_restart(folder: Path, *, jobs: int, kills: int, chance: random.Random) -> None:
    """Run `jobs` jobs to their end while the process is killed `kills` times as they end."""
    work = Workload()
    ended: set[str] = set()
    for kill in range(kills):
        with started(folder) as service:
            async with service.user("ann") as api:
                if not work.expected:
                    await asyncio.gather(
                        *(
                            work.generate(api, n=1 + (number % 10 == 0), key=f"k{number}")
                            for number in range(jobs)
                        )
                    )
                open_jobs = [job_id for job_id in work.expected if job_id not in ended]
                share = len(open_jobs) // (kills - kill + 1)
                for job_id in open_jobs[:share]:
                    await api.end(job_id)
                    ended.add(job_id)
                await asyncio.sleep(chance.random() / 20)  # where in its work it dies is to be any moment
            service.signal(signal.SIGKILL)
            assert await service.ended() == -signal.SIGKILL
    with started(folder) as service:
        async with service.user("ann") as api:
            await work.until_ended(api)
        service.signal(signal.SIGTERM)
        assert await service.ended() == 0
    assert len(work.expected) == jobs
    (await look_into(folder)).check_whole(work.expected)


async def test_a_kill_in_the_middle_of_two_hundred_jobs(tmp_path: Path) -> None:
    """`kill -9` amid 200 jobs, restart: every job ends once, each row has its object, each object a row."""
    await kill_and_restart(tmp_path, jobs=200, kills=1, chance=random.Random(1))


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_twenty_kills_amid_a_thousand_jobs(tmp_path: Path) -> None:
    """Twenty kills at random moments of 1,000 jobs lose and double nothing either."""
    await kill_and_restart(tmp_path, jobs=1000, kills=20, chance=random.Random(2))
