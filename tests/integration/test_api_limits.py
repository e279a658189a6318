"""Limits as a client meets them: headers, refusals, and what is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.program import (
    LeapingClock,
    Running,
    Scripted,
    Wire,
    output,
    read_object,
    read_problem,
    running,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODY = {"prompt": "a lighthouse"}


class Noon(LeapingClock):
    """It is noon, and stays so: no minute and no day ends while a test runs."""

    def now(self) -> float:
        return 1_750_075_200.0


def limits_of(usage: Wire) -> dict[str, tuple[float, float]]:
    return {each["name"]: (each["limit"], each["left"]) for each in usage["limits"]}


@pytest_asyncio.fixture(loop_scope="session")
async def held() -> AsyncIterator[tuple[Running, asyncio.Event]]:
    """A limited program whose provider waits for a word before it answers."""
    word = asyncio.Event()
    provider = Scripted(scripts=[[word, output()]])
    limits = {"media_quota_items_per_day": 5, "media_quota_jobs": 3, "media_requests_per_minute": 1000}
    async with running(providers=[provider], clock=Noon(), media_grace_seconds=0, **limits) as service:
        yield service, word


async def test_answers_tell_how_limits_stand(held: tuple[Running, asyncio.Event]) -> None:
    """Each answer tells of the minute's requests, one that makes a job of jobs and items too."""
    service, word = held
    api = service.user("ann")
    answer = await api.ask("GET", "/jobs")
    told, policy = answer.headers["ratelimit"], answer.headers["ratelimit-policy"]
    assert told.startswith('"requests";r=999;t=')
    assert policy == '"requests";q=1000;w=60'
    answer = await api.ask("POST", "/generate/image", {**BODY, "n": 2})
    assert answer.status_code == 202
    requests, jobs, items = answer.headers["ratelimit"].split(", ")
    assert requests.startswith('"requests";r=998;t=')
    assert jobs == '"jobs";r=2'
    assert items.startswith('"items";r=3;t=')
    assert answer.headers["ratelimit-policy"].split(", ")[1:] == [
        '"jobs";q=3;qu="concurrent-requests"',
        '"items";q=5;w=86400',
    ]
    word.set()
    assert (await api.end(read_object(answer)["jobId"])).name == "generation_complete"
    assert limits_of(await api.get("/media/usage"))["items"] == (5, 4)


async def test_a_refusal_says_when_to_come_back(held: tuple[Running, asyncio.Event]) -> None:
    """429 with a code of its own, `Retry-After` and the same headers; a key that is known is answered."""
    service, _ = held
    api = service.user("bob")
    asked = {**BODY, "n": 5}
    first = await api.ask("POST", "/generate/image", asked, headers={"Idempotency-Key": "k"})
    refused = await api.ask("POST", "/generate/image", BODY)
    assert read_problem(refused) == (429, "daily_items_used")
    assert 0 < int(refused.headers["retry-after"]) <= 86400
    assert '"items";r=0;t=' in refused.headers["ratelimit"]
    again = await api.ask("POST", "/generate/image", asked, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.content) == (202, first.content)
    conflict = await api.ask("POST", "/generate/image", {**asked, "n": 4}, headers={"Idempotency-Key": "k"})
    assert read_problem(conflict) == (422, "idempotency_conflict")
    assert limits_of(await api.get("/media/usage"))["items"] == (5, 0)
    cancelled = await api.ask("POST", f"/jobs/{read_object(first)['jobId']}/cancel")
    assert cancelled.status_code == 202
    assert (await api.end(read_object(first)["jobId"])).name == "job_cancelled"
    assert limits_of(await api.get("/media/usage"))["items"] == (5, 5)


async def test_unfinished_jobs_of_every_kind_count(held: tuple[Running, asyncio.Event]) -> None:
    """Uploads that wait for their bytes are jobs, too; cancelling one makes room."""
    api = held[0].user("cid")
    begun = [await api.init(filename="a.png", contentType="image/png", size=9) for _ in range(3)]
    for path, body in (
        ("/generate/image", BODY),
        ("/media/upload/init", {"filename": "a.png", "contentType": "image/png"}),
        ("/media/import", {"url": "https://example.com/a.png"}),
    ):
        refused = await api.ask("POST", path, body)
        assert read_problem(refused) == (429, "too_many_jobs")
        assert refused.headers["retry-after"] == "5"
    assert (await api.ask("POST", f"/jobs/{begun[0]['jobId']}/cancel")).status_code == 202
    assert (await api.ask("POST", "/generate/image", BODY)).status_code == 202


async def test_requests_of_a_minute_are_counted_for_each_user() -> None:
    """The next request is 429 until the minute is over, also for a stream; another user's are his own."""
    clock = Noon()
    async with running(providers=[], clock=clock, media_requests_per_minute=2) as service:
        ann, bob = service.user("ann"), service.user("bob")
        async with ann.events() as stream:
            assert stream.response.headers["ratelimit"].startswith('"requests";r=1;t=')
        assert (await ann.ask("GET", "/jobs")).status_code == 200
        for path in ("/jobs", "/events", "/events?jobId=x"):
            refused = await ann.ask("GET", path)
            assert read_problem(refused) == (429, "too_many_requests")
            assert refused.headers["ratelimit"].startswith('"requests";r=0;t=')
            assert 0 < int(refused.headers["retry-after"]) <= 60
        assert (await bob.ask("GET", "/jobs")).status_code == 200
        assert (await service.http.get("/healthz")).status_code == 200
