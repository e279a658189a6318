"""Whatever starts last, all begin; and what no waiting mends ends the start with one line."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from media_pipeline.api.auth import Tokens
from media_pipeline.ids import UserId
from tests.acceptance.fleet import PATIENCE, Fleet, find_free_port, fleet_in
from tests.acceptance.process import SECRET
from tests.integration.program import Api, read_problem
from tests.servers.postgres import OwnServer, postgres_server
from tests.servers.redis import RedisServer, redis_server


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def database(server: OwnServer) -> str:
    return server.create_database("start")


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def fleet(tmp_path: Path, database: str, redis: RedisServer) -> AsyncIterator[Fleet]:
    async with fleet_in(tmp_path, database=database, redis=redis.url) as fleet:
        yield fleet


@asynccontextmanager
async def started(fleet: Fleet, *command: str, **given: object) -> AsyncIterator[Process]:
    """Start a command, which may say nothing for long, and leave nothing of it."""
    process = await fleet.command(*command, **given)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said_hello(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return (await process.stdout.readline()).decode()


async def ended(process: Process) -> int:
    async with asyncio.timeout(PATIENCE):
        return await process.wait()


def client(port: int) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE)


async def ask(http: httpx2.AsyncClient, path: str, *, status: int) -> httpx2.Response:
    """Ask until that is the answer."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                answer = await http.get(path)
            except httpx2.TransportError:
                answer = None
            if answer is not None and answer.status_code == status:
                return answer
            await asyncio.sleep(0.05)


def logs(folder: Path) -> list[str]:
    return "".join(path.read_text() for path in folder.glob("log-*")).splitlines()


def logged(fleet: Fleet, event: str) -> int:
    return sum(f'"{event}"' in line for line in logs(fleet.folder))


async def test_a_database_that_comes_last_is_waited_for(fleet: Fleet, server: OwnServer) -> None:
    """Without it a service lives, is not ready and says so; when it is there, work goes on by itself."""
    port = find_free_port()
    await asyncio.to_thread(server.stop)
    try:
        async with (
            started(fleet, "serve", "--port", str(port)) as service,
            started(fleet, "worker") as worker,
            client(port) as http,
        ):
            assert (await ask(http, "/healthz", status=200)).json()["status"] == "ok"
            assert read_problem(await http.get("/readyz")) == (503, "not_ready")
            api = Api(http, "ann", Tokens(SECRET).issue(UserId("ann")))
            for method, path in (("POST", "/generate/image"), ("GET", "/events"), ("GET", "/jobs")):
                refused = await api.ask(method, path, {"prompt": "x"} if method == "POST" else None)
                assert read_problem(refused) == (503, "not_ready")
                assert int(refused.headers["retry-after"]) >= 1
            assert (service.returncode, worker.returncode) == (None, None)
            await asyncio.to_thread(server.start)
            assert "is at" in await said_hello(service)
            assert await said_hello(worker)
            await ask(http, "/readyz", status=200)
            assert (await api.end(await api.generate())).name == "generation_complete"
            assert 2 <= logged(fleet, "start.waits") <= 6, "one a process and reason, not one a try"
            assert logged(fleet, "start.goes_on") == 2
    finally:
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker",)], ids=lambda it: it[0])
async def test_a_start_that_waits_can_be_stopped(
    fleet: Fleet, server: OwnServer, command: tuple[str, ...]
) -> None:
    """SIGTERM ends a process that waits for its database, in peace."""
    await asyncio.to_thread(server.stop)
    try:
        async with started(fleet, *command) as process:
            async with asyncio.timeout(PATIENCE):
                while not logged(fleet, "start.waits"):  # noqa: ASYNC110 - a file gives no signal
                    await asyncio.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            assert await ended(process) in {0, -signal.SIGTERM}
    finally:
        await asyncio.to_thread(server.start)


@pytest.mark.parametrize(
    ("command", "wrong"),
    [("serve", "database"), ("worker", "role"), ("worker", "tables"), ("serve", "redis")],
)
async def test_what_no_waiting_mends_ends_the_start(
    tmp_path: Path, fleet: Fleet, server: OwnServer, command: str, wrong: str
) -> None:
    """An unknown database or role, missing tables and a wrong password end the start with one line."""
    given: dict[str, Any] = {
        "database": {"database_url": server.url("nowhere")},
        "role": {"database_url": server.url("start", role="nobody_we_know")},
        "tables": {"database_url": server.create_database("bare")},
        "redis": {},
    }[wrong]
    said = {
        "database": '"nowhere" does not exist',
        "role": '"nobody_we_know" does not exist',
        "tables": "run `media-pipeline migrate`",
        "redis": "WRONGPASS",
    }[wrong]
    with redis_server("--requirepass", "right") as locked:
        if wrong == "redis":
            given = {"redis_url": locked.url.replace("unix://", "unix://:wrong@")}
        async with started(fleet, command, port=0, **given) as process:
            assert await ended(process) == 1
    assert [said in line for line in logs(tmp_path) if line.startswith("media-pipeline: ")] == [True]


async def test_a_redis_that_comes_last_is_waited_for(fleet: Fleet, redis: RedisServer) -> None:
    """Without it a service is not ready, and becomes so by itself."""
    port = find_free_port()
    redis.kill()
    async with started(fleet, "serve", "--port", str(port)) as service, client(port) as http:
        assert await said_hello(service)
        assert read_problem(await http.get("/readyz")) == (503, "not_ready")
        redis.start()
        await ask(http, "/readyz", status=200)
