"""At the edge of each limit, two services let in exactly as many as it allows."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
from _pytest.mark import ParameterSet

from media_pipeline.api.auth import Tokens
from media_pipeline.ids import UserId
from tests.acceptance.fleet import PATIENCE, Fleet, Process, fleet_in
from tests.acceptance.process import SECRET
from tests.integration.program import read_problem
from tests.servers.postgres import shared_server
from tests.servers.redis import RedisServer, redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")
BURST: Final = 200
BAD, FORBIDDEN, TOO_MANY = 400, 403, 429
STREAMS: Final = 10
LEASE: Final = 2.0
LIMITS: Final[dict[str, Any]] = {
    "media_requests_per_minute": 250,
    "media_quota_jobs": 30,
    "media_quota_items_per_day": 40,
    "media_quota_usd_per_day": 0.0605,
    "media_quota_bytes": 15_000,
    "media_quota_objects": 25,
    "media_streams_per_user": STREAMS,
}
PICTURE: Final = {"prompt": "a lighthouse", "provider": "procedural"}
FILE: Final = {"filename": "a.png", "contentType": "image/png"}
MINUTE: Final = 60


@dataclass(frozen=True)
class Edge:
    """What 200 ask for at once; `fits` of them are within the limit, `code` is said to the others."""

    name: str
    path: str
    fits: int
    code: str
    body: dict[str, object] | None = None
    status: int = TOO_MANY
    method: str = "POST"
    long: bool = False
    """Whether another edge of the default suite stands for it: the same statement decides."""

    def param(self) -> ParameterSet:
        """Name it among the parameters of a test."""
        return pytest.param(self, id=self.name, marks=[pytest.mark.long] if self.long else [])


EDGES: Final = [
    Edge("items", "/generate/image", 20, "daily_items_used", {**PICTURE, "n": 2}),
    Edge("jobs", "/media/import", 30, "too_many_jobs", {"url": "https://example.com/a.png"}, long=True),
    Edge("spend", "/generate/image", 20, "daily_spend_used", {**PICTURE, "provider": "replicate"}, long=True),
    Edge(
        "objects",
        "/media/upload/init",
        25,
        "quota_exceeded",
        {**FILE, "size": 1},
        status=FORBIDDEN,
        long=True,
    ),
    Edge("bytes", "/media/upload/init", 15, "quota_exceeded", {**FILE, "size": 1000}, status=FORBIDDEN),
]
FOLLOW: Final = Edge("streams", "/events", STREAMS, "too_many_streams", method="GET")


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> AsyncIterator[Fleet]:
    """Two services and no worker, so that nothing that was let in ends meanwhile."""
    async with fleet_in(
        tmp_path_factory.mktemp("fleet"),
        database=shared_server().create_database("quotas"),
        redis=redis.url,
        media_lease_seconds=LEASE,
        media_providers="procedural,replicate",
        replicate_api_token="never sent",
        **LIMITS,
    ) as fleet:
        await fleet.serve()
        yield fleet


@asynccontextmanager
async def clients_of(*services: Process) -> AsyncIterator[Sequence[httpx2.AsyncClient]]:
    """Give a client of each service, which opens as many connections as it is asked to."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                httpx2.AsyncClient(
                    base_url=it.name, trust_env=False, verify=False, timeout=PATIENCE, limits=limits
                )
            )
            for it in services
        ]


async def ask_all(
    clients: Sequence[httpx2.AsyncClient], user: str, edge: Edge, *, count: int = BURST
) -> list[httpx2.Response]:
    """Let one user ask all services at once, by turns, and read no further than the head of an answer."""
    headers = {"Authorization": f"Bearer {Tokens(SECRET).issue(UserId(user))}"}
    asked = [
        client.build_request(edge.method, edge.path, json=edge.body, headers=headers) for client in clients
    ]
    sent = [
        clients[turn % len(clients)].send(asked[turn % len(clients)], stream=True) for turn in range(count)
    ]
    return await asyncio.gather(*sent)


async def within_a_minute(fleet: Fleet, edge: Edge, *, count: int = BURST) -> list[httpx2.Response]:
    """Ask at both services, and as another user once more where a minute, and perhaps a day, ended."""
    while True:
        began = time.time() // MINUTE
        async with clients_of(*fleet.services) as clients:
            answers = await ask_all(clients, f"{edge.name}-{uuid4()}", edge, count=count)
            await asyncio.gather(*(answer.aread() for answer in answers))
        if time.time() // MINUTE == began:
            return answers


def check(edge: Edge, answers: Sequence[httpx2.Response]) -> None:
    refused = [answer for answer in answers if answer.status_code >= BAD]
    assert len(answers) - len(refused) == edge.fits
    assert Counter(map(read_problem, refused)) == {(edge.status, edge.code): len(refused)}
    for answer in refused if edge.status == TOO_MANY else ():
        assert int(answer.headers["retry-after"]) >= 1
        assert f'"{edge.name}";r=0' in answer.headers["ratelimit"]
        assert f'"{edge.name}";q=' in answer.headers["ratelimit-policy"]


@pytest.mark.parametrize("edge", [edge.param() for edge in EDGES])
async def test_exactly_the_quota_is_accepted(fleet: Fleet, edge: Edge) -> None:
    """Of 200 who ask two processes at once exactly as many as fit are let in; the others are told why."""
    check(edge, await within_a_minute(fleet, edge))


async def test_exactly_the_minutes_requests_are_answered(fleet: Fleet) -> None:
    """The minute's requests are shared by both services."""
    edge = Edge("requests", "/jobs", 250, "too_many_requests", method="GET")
    check(edge, await within_a_minute(fleet, edge, count=300))


@asynccontextmanager
async def streams(
    clients: Sequence[httpx2.AsyncClient], user: str, *, count: int
) -> AsyncIterator[list[httpx2.Response]]:
    """Open so many streams at once and keep open what was let in."""
    answers = await ask_all(clients, user, FOLLOW, count=count)
    try:
        yield answers
    finally:
        await asyncio.gather(*(answer.aclose() for answer in answers))


def opened(answers: Sequence[httpx2.Response]) -> int:
    return sum(answer.status_code == 200 for answer in answers)


async def until_room(clients: Sequence[httpx2.AsyncClient], user: str) -> None:
    """Come back until one more stream finds room."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with streams(clients, user, count=1) as answers:
                if opened(answers):
                    return
            await asyncio.sleep(LEASE / 8)


async def test_exactly_as_many_streams_are_open(fleet: Fleet) -> None:
    """Of 200 streams at two processes as many open as one user may hold; closed ones make room again."""
    async with clients_of(*fleet.services) as clients:
        async with streams(clients, "reader", count=BURST) as answers:
            assert opened(answers) == STREAMS
            refused = [answer for answer in answers if answer.status_code >= BAD]
            await asyncio.gather(*(answer.aread() for answer in refused))
            assert {read_problem(answer) for answer in refused} == {(TOO_MANY, "too_many_streams")}
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        await until_room(clients, "reader")


async def test_a_killed_service_gives_its_streams_back(fleet: Fleet) -> None:
    """When its lease is over a killed process's streams count no more; those of the others do."""
    doomed = await fleet.join()
    async with (
        clients_of(fleet.services[0], doomed) as (here, there),
        streams([here], "widow", count=4) as kept,
        streams([there], "widow", count=STREAMS) as lost,
    ):
        assert (opened(kept), opened(lost)) == (4, STREAMS - 4)
        doomed.signal(signal.SIGKILL)
        await doomed.ended()
        await until_room([here], "widow")
        async with streams([here], "widow", count=STREAMS) as answers:
            assert opened(answers) == STREAMS - 4


async def test_without_redis_the_database_holds_the_quota(fleet: Fleet, redis: RedisServer) -> None:
    """What is counted in the database is exact while Redis is away."""
    redis.kill()
    try:
        check(EDGES[0], await within_a_minute(fleet, EDGES[0]))
    finally:
        redis.start()
