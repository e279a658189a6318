"""Jobs from outside: repeating, stopping, doing again, listing, and whose they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from statistics import median
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.integration.program import Api, Running, Scripted, output, read_problem, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODY = {"prompt": "a lighthouse", "width": 64, "height": 64}
KEY = {"Idempotency-Key": "one"}


@pytest.fixture
def go() -> asyncio.Event:
    """What the held provider waits for."""
    return asyncio.Event()


@pytest_asyncio.fixture(loop_scope="session")
async def held(go: asyncio.Event) -> AsyncIterator[tuple[Running, Scripted]]:
    """A program of one slot whose provider works until `go` is set."""
    provider = Scripted(scripts=[[go, output()]])
    async with running(providers=[provider], media_concurrency=1) as program:
        yield program, provider
        go.set()


async def test_the_same_key_gives_the_same_job(api: Api) -> None:
    """A repeated `Idempotency-Key` answers as the first time and makes nothing new."""
    first, second = [await api.ask("POST", "/generate/image", BODY, headers=KEY) for _ in range(2)]
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert first.headers["location"] == second.headers["location"]
    assert len((await api.get("/jobs"))["jobs"]) == 1


async def test_the_same_key_with_another_body_is_refused(api: Api) -> None:
    """One key stands for one request, also across operations."""
    await api.ask("POST", "/generate/image", BODY, headers=KEY)
    for path, body in (
        ("/generate/image", BODY | {"n": 2}),
        ("/generate/image", BODY | {"priority": "low"}),
        ("/generate/video", BODY),
        ("/media/upload/init", {"filename": "a.png", "contentType": "image/png"}),
    ):
        answer = await api.ask("POST", path, body, headers=KEY)
        assert read_problem(answer) == (422, "idempotency_conflict")


async def test_twenty_at_once_make_one_job(api: Api) -> None:
    """Parallel requests with one key get one job's id."""
    answers = await asyncio.gather(
        *(api.ask("POST", "/generate/image", BODY, headers=KEY) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["jobId"] for answer in answers}) == 1
    assert len((await api.get("/jobs"))["jobs"]) == 1


async def test_keys_are_each_users_own(service: Running) -> None:
    """Another user's equal key is another request."""
    users = [service.user(f"user-{uuid4().hex}") for _ in range(2)]
    made = [(await user.ask("POST", "/generate/image", BODY, headers=KEY)).json()["jobId"] for user in users]
    assert len(set(made)) == 2


async def test_an_upload_begun_twice_with_one_key_is_one(api: Api) -> None:
    """A repeated `init` gives the same job, path and upload URL."""
    body = {"filename": "a.png", "contentType": "image/png"}
    first, second = [await api.ask("POST", "/media/upload/init", body, headers=KEY) for _ in range(2)]
    assert first.json() == second.json()


async def test_a_queued_job_is_cancelled_at_once(held: tuple[Running, Scripted]) -> None:
    """Cancelling a job that waits ends it; nothing of it ever runs."""
    service, provider = held
    api = service.user("ann")
    await api.generate()
    await provider.began.wait()
    waiting = await api.generate()
    answer = await api.ask("POST", f"/jobs/{waiting}/cancel")
    assert (answer.status_code, answer.json()) == (202, {"jobId": waiting})
    assert [frame.name for frame in await api.history(waiting)] == ["job_queued", "job_cancelled"]
    job = await api.job(waiting)
    assert (job["state"], job["attempts"], job["result"], job["error"]) == ("cancelled", [], None, None)
    assert provider.calls == 1


async def test_a_running_job_is_stopped(held: tuple[Running, Scripted]) -> None:
    """Cancelling a job that runs stops its provider, ends it once and leaves no object."""
    service, provider = held
    api = service.user("ann")
    job_id = await api.generate()
    await provider.began.wait()
    assert (await api.ask("POST", f"/jobs/{job_id}/cancel")).status_code == 202
    history = [frame.name for frame in await api.history(job_id)]
    assert history == ["job_queued", "generation_started", "job_cancelled"]
    assert (await api.job(job_id))["state"] == "cancelled"
    assert await service.objects(api) == []
    assert await api.items() == []


async def test_an_ended_job_cannot_be_cancelled(api: Api) -> None:
    """Cancelling what has ended is a 409 that says how it ended."""
    job_id = await api.generate()
    await api.end(job_id)
    answer = await api.ask("POST", f"/jobs/{job_id}/cancel")
    assert read_problem(answer) == (409, "job_ended")
    assert "succeeded" in answer.json()["detail"]


async def test_a_job_that_has_not_ended_cannot_be_retried(held: tuple[Running, Scripted]) -> None:
    """Retrying what still runs is a 409."""
    service, provider = held
    api = service.user("ann")
    job_id = await api.generate()
    await provider.began.wait()
    assert read_problem(await api.ask("POST", f"/jobs/{job_id}/retry")) == (409, "job_not_ended")


async def test_a_retry_is_a_new_job_that_knows_the_old(api: Api) -> None:
    """Retrying makes a job with the same request, its own result and `retryOf`."""
    first = await api.generate(seed=4)
    await api.end(first)
    answer = await api.ask("POST", f"/jobs/{first}/retry")
    second = answer.json()["jobId"]
    assert (answer.status_code, answer.headers["location"]) == (202, f"/jobs/{second}")
    await api.end(second)
    before, after = await api.job(first), await api.job(second)
    assert (before["retryOf"], after["retryOf"]) == (None, first)
    assert before["request"] == after["request"]
    assert before["result"]["items"][0]["path"] != after["result"]["items"][0]["path"]
    assert len(await api.items()) == 2


async def test_a_retry_honours_its_key(api: Api) -> None:
    """A repeated retry with one key is one job."""
    first = await api.generate()
    await api.end(first)
    made = [await api.ask("POST", f"/jobs/{first}/retry", headers=KEY) for _ in range(2)]
    assert made[0].json() == made[1].json()


async def test_an_upload_cannot_be_retried(api: Api) -> None:
    """The bytes of an upload come from its user, so there is nothing to do again."""
    permission = await api.init(filename="a.png", contentType="image/png")
    await api.ask("POST", f"/jobs/{permission['jobId']}/cancel")
    answer = await api.ask("POST", f"/jobs/{permission['jobId']}/retry")
    assert read_problem(answer) == (409, "not_repeatable")


async def test_jobs_are_listed_newest_first_by_page(api: Api) -> None:
    """Pages of two, followed by their cursors, show every job once."""
    made = [await api.generate() for _ in range(5)]
    seen, cursor = [], ""
    for expected in (2, 2, 1):
        page = await api.get(f"/jobs?limit=2{cursor}")
        assert len(page["jobs"]) == expected
        seen += [job["jobId"] for job in page["jobs"]]
        cursor = f"&cursor={page['nextCursor']}"
    assert page["nextCursor"] is None
    assert seen == made[::-1]


async def test_another_users_job_is_like_a_missing_one(service: Running, api: Api) -> None:
    """Whoever asks for a foreign job in any way gets what a job that never was gives, byte for byte."""
    job_id = await api.generate()
    await api.end(job_id)
    stranger = service.user(f"user-{uuid4().hex}")
    for method, path in (
        ("GET", "/jobs/{}"),
        ("POST", "/jobs/{}/cancel"),
        ("POST", "/jobs/{}/retry"),
        ("GET", "/events?jobId={}"),
    ):
        foreign, missing = [await stranger.ask(method, path.format(name)) for name in (job_id, uuid4())]
        assert read_problem(foreign) == (404, "job_not_found")
        assert foreign.content == missing.content
    assert await stranger.get("/jobs") == {"jobs": [], "nextCursor": None}


async def test_a_post_answers_at_once(held: tuple[Running, Scripted]) -> None:
    """Accepting a generation takes less than 50 ms at the median, however long the work is."""
    api = held[0].user("ann")
    taken = []
    for _ in range(20):
        begin = time.perf_counter()
        await api.generate()
        taken.append(time.perf_counter() - begin)
    assert median(taken) < 0.05
