"""The command `media-pipeline` as a process of its own, and what it left in its folder."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from media_pipeline.api.auth import Tokens
from media_pipeline.ids import UserId
from media_pipeline.settings import Settings
from media_pipeline.storage.local import LocalStore
from tests.integration.program import Api, Wire

COMMAND = Path(sys.executable).with_name("media-pipeline")
SECRET = "a secret that only these tests know, 32 bytes and more"
START, STOP = 20.0, 20.0


def environment(folder: Path, **given: object) -> dict[str, str]:
    """Return an environment with no settings but `given`, and a state folder of its own.

    Bytecode may be kept, as on any machine: the command is started many times.
    """
    hidden = {*Settings.model_fields, "pythondontwritebytecode"}
    kept = {name: value for name, value in os.environ.items() if name.lower() not in hidden}
    named = {name.upper(): str(value) for name, value in given.items()}
    return {**kept, "XDG_STATE_HOME": str(folder / "state"), **named}


def run(folder: Path, *arguments: str, **given: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [COMMAND, *arguments],
        env=environment(folder, **given),
        capture_output=True,
        text=True,
        timeout=START,
        check=False,
    )


@dataclass
class Service:
    """A running `media-pipeline dev`."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    @asynccontextmanager
    async def user(self, name: str) -> AsyncIterator[Api]:
        """Give a client with a token of `name`."""
        async with httpx2.AsyncClient(
            base_url=self.address,
            trust_env=False,
            timeout=30,
            limits=httpx2.Limits(max_connections=40, keepalive_expiry=2),
        ) as http:
            yield Api(http, name, Tokens(SECRET).issue(UserId(name)))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self, *, within: float = STOP) -> int:
        """Wait for the process and return its exit code; negative for the signal that killed it."""
        return await asyncio.to_thread(self.process.wait, within)


@contextmanager
def started(folder: Path, **given: object) -> Iterator[Service]:
    """Run the service on a free port with everything it keeps in `folder`."""
    log = folder / "log"
    durable = {"database_url": f"sqlite:///{folder}/jobs.db", "storage_dir": folder / "store"}
    settings = {"port": 0, "auth_jwt_secret": SECRET, **durable, **given}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [COMMAND, "dev"], env=environment(folder, **settings), stdout=subprocess.PIPE, stderr=out
        )
    with process:
        try:
            yield Service(process, _read_address(process, log), log)
        finally:
            process.kill()


def _read_address(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout
    hello = process.stdout.readline().decode()
    found = re.search(r"http://localhost:\d+", hello)
    assert found, log.read_text()[-2000:]
    return found[0].replace("localhost", "127.0.0.1")


def moved(permission: Wire, service: Service) -> Wire:
    """Return an upload permission for the same service at its address of today."""
    url = re.sub(r"http://[^/]+", service.address, permission["uploadURL"])
    return {**permission, "uploadURL": url}


@dataclass(frozen=True)
class Remains:
    """What a stopped service left: rows and objects."""

    jobs: Sequence[Mapping[str, Any]]
    media: Sequence[Mapping[str, Any]]
    objects: Mapping[str, tuple[int, str]]

    def check_whole(self, expected: Mapping[str, int]) -> None:
        """Assert that each job ended once and well, with so many items, and that rows and objects agree."""
        assert {job["id"]: job["state"] for job in self.jobs} == dict.fromkeys(expected, "succeeded")
        assert all(job["settled"] for job in self.jobs)
        owned = [row["job_id"] for row in self.media]
        assert {job_id: owned.count(job_id) for job_id in expected} == expected
        assert len(owned) == sum(expected.values())
        for row in self.media:
            assert self.objects[row["path"]] == (row["size"], row["version"])
        assert self.orphans() == set(), "nothing that no row names"
        assert self._named() - self.objects.keys() == set(), "nothing that a row names is missing"

    def orphans(self) -> set[str]:
        """Return the objects that no row names."""
        return self.objects.keys() - self._named()

    def _named(self) -> set[str]:
        rungs = [rung for row in self.media for rung in json.loads(row["thumbnails"])]
        return {row["path"] for row in self.media} | {rung["path"] for rung in rungs}


async def look_into(folder: Path) -> Remains:
    """Read what a stopped service left in its folder."""
    store = LocalStore(folder / "store" / "objects", "http://nowhere.test")
    try:
        objects = {item.path: (item.size, item.version) for item in await store.list("")}
    finally:
        await store.aclose()
    with closing(sqlite3.connect(folder / "jobs.db")) as database:
        database.row_factory = sqlite3.Row
        jobs = [dict(row) for row in database.execute("SELECT * FROM jobs")]
        media = [dict(row) for row in database.execute("SELECT * FROM media")]
    return Remains(jobs, media, {path: (size, str(version)) for path, (size, version) in objects.items()})
