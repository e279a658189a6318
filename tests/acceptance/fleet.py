"""Services and workers as processes of their own, over one SQL server, one Redis and one folder."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from psycopg.rows import dict_row

from media_pipeline.api.auth import Tokens
from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.ids import UserId
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.store import Store
from tests.acceptance.process import COMMAND, SECRET, Remains, environment
from tests.integration.program import TERMINAL, Api

PATIENCE = 180.0
"""Seconds within which anything that is waited for has come, on a machine that does much else."""


@dataclass
class Process:
    """A process of the fleet; `name` is a service's address, a worker's id."""

    process: asyncio.subprocess.Process
    name: str
    log: Path

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self, *, within: float = PATIENCE) -> int:
        """Wait for the process and return its exit code; negative for the signal that killed it."""
        async with asyncio.timeout(within):
            return await self.process.wait()

    async def logged(self, event: str) -> None:
        """Wait for an event in the log."""
        async with asyncio.timeout(PATIENCE):
            while event not in self.log.read_text():  # noqa: ASYNC110 - a file gives no signal
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stop it in peace."""
        self.signal(signal.SIGTERM)
        assert await self.ended() == 0, self.log.read_text()[-2000:]


class Fleet:
    """What processes started here share; `given` are settings of all of them."""

    def __init__(
        self,
        folder: Path,
        *,
        database: str,
        redis: str,
        store: Callable[[], Store] | None = None,
        **given: object,
    ) -> None:
        """`store` opens what the settings name, past whatever stands before it; unset it is a folder."""
        self.folder = folder
        self._open_store = store or self._open_folder
        self.database = database
        self.address = f"http://127.0.0.1:{find_free_port()}"
        self._given = {
            "auth_jwt_secret": SECRET,
            "database_url": database,
            "redis_url": redis,
            **({} if store else {"storage_dir": folder / "store"}),
            "public_url": self.address,
            "media_log": "json",
            "media_lease_seconds": 2,
            "media_user_jobs": 16,
            **given,
        }
        self.services: list[Process] = []
        self._started: list[Process] = []
        self._logs = count()

    async def serve(self, *, services: int = 2, **given: object) -> None:
        """Start one service at the fleet's own address and the others beside it."""
        ports = [int(self.address.rpartition(":")[2]), *(find_free_port() for _ in range(services - 1))]
        starts = [self._start("serve", "--port", str(port), **given) for port in ports]
        self.services = await asyncio.gather(*starts)
        for service, port in zip(self.services, ports, strict=True):
            service.name = f"http://127.0.0.1:{port}"

    async def join(self) -> Process:
        """Start a service beside the others."""
        port = find_free_port()
        new = await self._start("serve", "--port", str(port))
        new.name = f"http://127.0.0.1:{port}"
        return new

    async def replace_service(self, number: int) -> None:
        """Start a new service beside the others and stop the one it stands for."""
        new = await self.join()
        old, self.services[number] = self.services[number], new
        await old.stop()

    async def work(self, *arguments: str, **given: object) -> Process:
        """Start a worker."""
        return await self._start("worker", *arguments, **given)

    @asynccontextmanager
    async def user(self, name: str, *, service: int = 0) -> AsyncIterator[Api]:
        """Give a client of a service with a token of `name`."""
        address = self.services[service].name
        limits = httpx2.Limits(max_connections=60, keepalive_expiry=2)
        async with httpx2.AsyncClient(
            base_url=address, trust_env=False, timeout=PATIENCE, limits=limits
        ) as http:
            yield Api(http, name, Tokens(SECRET).issue(UserId(name)))

    async def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Read the database past the program."""
        async with await psycopg.AsyncConnection.connect(
            self.database, autocommit=True, row_factory=dict_row
        ) as connection:
            return await (await connection.execute(query.encode(), values)).fetchall()

    async def until_settled(self, jobs: Collection[str]) -> None:
        """Wait until every job has ended and everybody was told."""
        query = "SELECT count(*) AS n FROM jobs WHERE settled AND id = ANY(%s)"
        async with asyncio.timeout(20 * PATIENCE):
            while (await self.rows(query, list(jobs)))[0]["n"] < len(jobs):  # noqa: ASYNC110 - nor does this
                await asyncio.sleep(0.05)

    async def held_by(self, worker: Process) -> list[str]:
        """Return the jobs that run at a worker, as the database has it."""
        return [row["id"] for row in await self.rows("SELECT id FROM jobs WHERE worker_id = %s", worker.name)]

    async def count_claims(self, user: str) -> int:
        """Return how often jobs of a user were claimed."""
        found = await self.rows("SELECT sum(attempt)::INT AS n FROM jobs WHERE user_id = %s", user)
        return int(found[0]["n"])

    async def remains(self, users: Collection[str]) -> Remains:
        """Read what the fleet has made for these users so far."""
        store = self._open_store()
        try:
            roots = [f"{root}/{user}/" for user in users for root in ("media", "derived")]
            found = [item for root in roots for item in await store.list(root)]
        finally:
            await store.aclose()
        jobs = await self.rows("SELECT * FROM jobs WHERE user_id = ANY(%s)", list(users))
        media = await self.rows("SELECT * FROM media WHERE user_id = ANY(%s)", list(users))
        return Remains(jobs, media, {item.path: (item.size, str(item.version)) for item in found})

    def logs(self) -> str:
        """Return what all processes so far have logged."""
        return "".join(started.log.read_text() for started in self._started)

    async def kill(self) -> None:
        """Leave no process behind."""
        await self._kill(self._started)

    async def kill_workers(self) -> None:
        """Leave no worker behind."""
        await self._kill([started for started in self._started if started not in self.services])

    async def _kill(self, processes: Sequence[Process]) -> None:
        for started in processes:
            if started.process.returncode is None:
                started.signal(signal.SIGKILL)
            await started.process.wait()

    async def command(self, *command: str, **given: object) -> asyncio.subprocess.Process:
        """Start a command that says nothing at its beginning."""
        return await self._spawn(self.folder / f"log-{next(self._logs)}", *command, **given)

    def _open_folder(self) -> Store:
        return LocalStore(self.folder / "store" / "objects", self.address, shared=True)

    async def _start(self, *command: str, **given: object) -> Process:
        log = self.folder / f"log-{next(self._logs)}"
        process = await self._spawn(log, *command, **given)
        started = Process(process, "", log)
        self._started.append(started)
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            hello = (await process.stdout.readline()).decode()
        assert hello, log.read_text()[-2000:]
        started.name = hello.split()[1]
        return started

    async def _spawn(self, log: Path, *command: str, **given: object) -> asyncio.subprocess.Process:
        with log.open("wb") as out:
            return await asyncio.create_subprocess_exec(
                COMMAND,
                *command,
                env=environment(self.folder, **{**self._given, **given}),
                stdout=asyncio.subprocess.PIPE,
                stderr=out,
            )


@asynccontextmanager
async def fleet_in(
    folder: Path, *, database: str, redis: str, store: Callable[[], Store] | None = None, **given: object
) -> AsyncIterator[Fleet]:
    """Make a database's tables, give a fleet over it, and end every process of it."""
    tables = PostgresDatabase(database)
    await migrate(tables)
    await tables.aclose()
    fleet = Fleet(folder, database=database, redis=redis, store=store, **given)
    try:
        yield fleet
    finally:
        await fleet.kill()


class Audience:
    """Who listens to one user's stream: how often each job was heard to end."""

    def __init__(self, api: Api, jobs: int) -> None:
        self._api = api
        self._jobs = jobs
        self.ends: Counter[str] = Counter()
        self.listening = asyncio.Event()
        self.heard_all = asyncio.Event()

    async def listen(self) -> None:
        """Listen until the stream ends or this is cancelled."""
        async with self._api.events() as stream:
            stream.patience = 20 * PATIENCE  # a user whose jobs are all done hears no more
            self.listening.set()
            with suppress(StopAsyncIteration, httpx2.TransportError):
                while True:
                    frame = await stream.next()
                    if frame.name in TERMINAL:
                        self.ends[frame.data["jobId"]] += 1
                    if len(self.ends) == self._jobs:
                        self.heard_all.set()

    async def heard(self, jobs: int) -> None:
        """Wait until so many jobs were heard to end."""
        async with asyncio.timeout(PATIENCE):
            while len(self.ends) < jobs:  # noqa: ASYNC110 - how many they will be is not known before
                await asyncio.sleep(0.02)


def report(line: str) -> None:
    """Print a figure, to be seen with `-s` or `-rP`."""
    print(line, file=sys.stderr)  # noqa: T201 - the figures are what a long run is for


def find_free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def check_remains(remains: Remains, asked: Mapping[str, int], *, spent: int = 0) -> int:
    """Assert that each job ended once, with so many items, and that rows and objects agree.

    A job may have spent `spent` runs. One of which three workers died may have been set aside, with
    nothing left of it; returns how many were.
    """
    aside = {job["id"] for job in remains.jobs if job["state"] == "failed"}
    for job in remains.jobs:
        assert job["failures"] <= spent, (job["kind"], job["error"])
        assert job["settled"]
        if job["id"] in aside:
            assert json.loads(job["error"])["code"] == "crashed"
            assert len(json.loads(job["crashes"])) == 2, "and the third, which is not written down"
    whole = [job for job in remains.jobs if job["id"] not in aside]
    assert {job["id"] for job in remains.jobs} == set(asked)
    expected = {job_id: n for job_id, n in asked.items() if job_id not in aside}
    Remains(whole, remains.media, remains.objects).check_whole(expected)
    return len(aside)
