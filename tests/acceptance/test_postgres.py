"""The program on a real SQL server, killed in the middle of its work."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import httpx2
import pytest

from tests.integration.program import Api
from tests.servers.postgres import shared_server

JOBS = 100
PROGRAM = str(Path(sys.executable).parent / "media-pipeline")
Environment = Mapping[str, str]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "DATABASE_URL": shared_server().create_database("acceptance"),
        "STORAGE_DIR": str(tmp_path / "store"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "MEDIA_LEASE_SECONDS": "2",
    }


def run(environment: Environment, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextlib.contextmanager
def running(environment: Environment) -> Iterator[str]:
    """Run the program on a free port, give its address, and kill it."""
    command = [PROGRAM, "dev", "--port", "0"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            process.kill()


@contextlib.asynccontextmanager
async def client(address: str, token: str) -> AsyncIterator[Api]:
    async with httpx2.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
        yield Api(http, "ann", token)


def test_missing_migrations_are_told_in_one_line(environment: Environment) -> None:
    """Without its tables the program ends with 1 and names the command that makes them."""
    refused = run(environment, "dev", "--port", "0")
    assert refused.returncode == 1
    assert "run `media-pipeline migrate`" in refused.stderr.splitlines()[-1]
    applied = run(environment, "migrate")
    assert (applied.returncode, applied.stdout.splitlines()[0]) == (0, "applied jobs")
    assert run(environment, "migrate").stdout == ""


async def test_a_kill_in_the_middle_loses_and_doubles_nothing(environment: Environment) -> None:
    """Of a hundred jobs, killed with SIGKILL on the way, each succeeds once with one item of its own."""
    assert run(environment, "migrate").returncode == 0
    token = run(environment, "token", "--user", "ann").stdout.strip()
    with running(environment) as address:
        async with client(address, token) as api:
            asked = await asyncio.gather(*(api.generate(seed=number) for number in range(JOBS)))
            await api.end(asked[JOBS // 5])
    with running(environment) as address:
        async with client(address, token) as api:
            ends = [(await api.end(job_id)).name for job_id in asked]
            items = await api.items("?limit=200")
    assert Counter(ends) == {"generation_complete": JOBS}
    assert Counter(item["jobId"] for item in items) == dict.fromkeys(asked, 1)
