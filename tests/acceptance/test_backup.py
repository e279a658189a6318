"""A backup taken at work, restored beside the store: what `docs/operations.md` describes, done."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.process import SECRET, Service, run, started
from tests.integration.program import Api
from tests.servers.postgres import OwnServer, find_binaries, shared_server

BEFORE, AMID, AFTER = 2, 6, 1
Restored = str


@dataclass(frozen=True)
class Engine:
    """A database's URL, and what takes its backup and gives the URL of a new one made of it."""

    url: str
    back_up: Callable[[], None]
    restore: Callable[[], Restored]


def sqlite_engine(folder: Path) -> Engine:
    kept, restored = folder / "backup.db", folder / "restored.db"

    def back_up() -> None:
        with closing(sqlite3.connect(folder / "jobs.db")) as database:
            database.execute("VACUUM INTO ?", [str(kept)])

    def restore() -> Restored:
        kept.rename(restored)
        return f"sqlite:///{restored}"

    return Engine(f"sqlite:///{folder}/jobs.db", back_up, restore)


def postgres_engine(folder: Path) -> Engine:
    server = shared_server()
    if not isinstance(server, OwnServer) or not (find_binaries() / "pg_dump").exists():
        pytest.skip("needs pg_dump and pg_restore beside the server")
    url, dump = server.create_database("backup"), folder / "backup.dump"
    library = {**os.environ, "LD_LIBRARY_PATH": str(find_binaries().parent / "lib")}

    def call(program: str, *arguments: str) -> None:
        subprocess.run([find_binaries() / program, *arguments], check=True, env=library)

    def restore() -> Restored:
        fresh = server.create_database("restored")
        call("pg_restore", "--no-owner", "--exit-on-error", "--dbname", fresh, str(dump))
        return fresh

    assert run(folder, "migrate", database_url=url).returncode == 0
    return Engine(url, lambda: call("pg_dump", "--format=custom", "--file", str(dump), url), restore)


@pytest.mark.parametrize("engine", [sqlite_engine, pytest.param(postgres_engine, marks=pytest.mark.long)])
async def test_a_backup_taken_at_work_is_whole(engine: Callable[[Path], Engine], tmp_path: Path) -> None:
    """What ran at that moment ends once, what came later is found by reindex, and everything answers."""
    database = engine(tmp_path)
    settings = {"media_lease_seconds": 2, "media_concurrency": 2}
    with started(tmp_path, database_url=database.url, **settings) as service:
        async with service.user("ann") as ann:
            before = await make(ann, BEFORE)
            amid = [await ann.generate(prompt=f"amid {n}") for n in range(AMID)]
            await begun(ann, amid)
            await asyncio.to_thread(database.back_up)
            for job_id in amid:
                await ann.end(job_id)
            await make(ann, AFTER)
        await end(service)
    restored = {
        "database_url": await asyncio.to_thread(database.restore),
        "storage_dir": tmp_path / "store",
        "auth_jwt_secret": SECRET,
    }
    with started(tmp_path, **settings, **restored) as service:
        async with service.user("ann") as ann:
            ends = [(await ann.end(job_id)).name for job_id in (*before, *amid)]
            jobs = [await ann.job(job_id) for job_id in (*before, *amid)]
            told = [[frame.name for frame in await ann.history(job_id)] for job_id in amid]
        await end(service)
    assert set(ends) == {"generation_complete"}
    assert {job["state"] for job in jobs} == {"succeeded"}
    assert {names.count("generation_complete") for names in told} == {1}
    found = await asyncio.to_thread(run, tmp_path, "reindex", **restored)
    assert (found.returncode, f"{AFTER} added" in found.stdout) == (0, True), found
    with started(tmp_path, **settings, **restored) as service:
        async with service.user("ann") as ann:
            items = await ann.items()
            assert len({item["path"] for item in items}) == len(items) == BEFORE + AMID + AFTER
            for item in items:
                place = item["url"][item["url"].index("/storage/") :]
                assert len((await ann.http.get(place)).content) == item["size"]
            await make(ann, 1)
        await end(service)


async def make(api: Api, jobs: int) -> list[str]:
    """Make so many pictures and wait for them."""
    asked = [await api.generate(prompt=f"a lighthouse {n}") for n in range(jobs)]
    for job_id in asked:
        assert (await api.end(job_id)).name == "generation_complete"
    return asked


async def begun(api: Api, jobs: list[str]) -> None:
    """Wait until one of them runs, and others wait behind it."""
    async with asyncio.timeout(20):
        while not await runs(api, jobs):  # noqa: ASYNC110 - a start is told, but not that others wait
            await asyncio.sleep(0.01)


async def runs(api: Api, jobs: list[str]) -> bool:
    return "running" in {(await api.job(job_id))["state"] for job_id in jobs}


async def end(service: Service) -> None:
    service.signal(signal.SIGTERM)
    assert await service.ended() == 0
