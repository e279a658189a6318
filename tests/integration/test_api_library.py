"""What a user does with a library: rename, delete many, see how full it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.integration.program import Api, Running, picture, read_problem, running

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bounded() -> AsyncIterator[Running]:
    """A program in which every user may keep three items and 100,000 bytes."""
    async with running(media_quota_objects=3, media_quota_bytes=100_000) as service:
        yield service


@pytest.fixture
def tenant(bounded: Running) -> Api:
    return bounded.user(uuid4().hex)


async def test_an_item_gets_a_name_and_a_text(api: Api) -> None:
    """PATCH changes name and alt text, search follows, and what was not sent stays."""
    permission = await api.upload(picture(), filename="IMG_1.png")
    path = f"/media/{permission['objectPath']}"
    answer = await api.ask("PATCH", path, {"name": "Kite over dunes", "alt": "A red kite"})
    assert answer.status_code == 200, answer.text
    (item,) = await api.items("?q=dune")
    assert answer.json() == item
    assert (item["name"], item["alt"], item["path"]) == (
        "Kite over dunes",
        "A red kite",
        permission["objectPath"],
    )
    assert (await api.ask("PATCH", path, {"alt": ""})).json()["alt"] is None
    assert await api.items("?q=img") == []


async def test_a_change_that_says_nothing_is_refused(service: Running, api: Api) -> None:
    """An empty or blank change is 422, another user's item 404."""
    permission = await api.upload(picture())
    path = f"/media/{permission['objectPath']}"
    for body in ({}, {"name": " "}, {"name": None}, {"size": 1}, {"name": "a\u0000"}):
        assert read_problem(await api.ask("PATCH", path, body)) == (422, "invalid_request")
    stranger = service.user(uuid4().hex)
    assert read_problem(await stranger.ask("PATCH", path, {"name": "mine"})) == (404, "media_not_found")


async def test_many_are_deleted_and_every_page_hears_of_it(api: Api) -> None:
    """POST /media/delete takes items out at once, also those that are gone, and tells it on the stream."""
    paths = [(await api.upload(picture()))["objectPath"] for _ in range(3)]
    async with api.events() as stream:
        await stream.until("ready")
        answer = await api.ask("POST", "/media/delete", {"paths": [*paths[:2], "media/other/x.png"]})
        told = (await stream.until("media_deleted"))[-1]
    assert answer.json() == {"deleted": [*paths[:2], "media/other/x.png"], "failed": [], "more": False}
    assert told.data["paths"] == answer.json()["deleted"]
    assert [item["path"] for item in await api.items()] == paths[2:]


async def test_a_filter_deletes_what_it_would_list(service: Running, api: Api) -> None:
    """By prefix, kind and words exactly the items go that a listing shows; their bytes go too."""
    await api.end(await api.generate(prompt="a red kite"))
    kept = (await api.upload(picture(), filename="kite.png"))["objectPath"]
    answer = await api.ask("POST", "/media/delete", {"prefix": "images", "q": "kite"})
    assert len(answer.json()["deleted"]) == 1
    assert [item["path"] for item in await api.items()] == [kept]
    await service.program.library.finish_removals()
    assert all(kept.split("/")[2] in path for path in await service.objects(api))


@pytest.mark.parametrize("body", [{}, {"paths": []}, {"paths": ["a"], "q": "b"}, {"q": ""}, {"kind": "all"}])
async def test_a_deletion_without_a_target_is_refused(api: Api, body: dict[str, object]) -> None:
    """Nobody deletes a whole library by leaving everything out."""
    assert read_problem(await api.ask("POST", "/media/delete", body)) == (422, "invalid_request")


async def test_uploads_stop_at_the_quota(tenant: Api) -> None:
    """Of many uploads that begin at once exactly the quota is taken; a deletion makes room for the next."""
    body = {"filename": "a.png", "contentType": "image/png", "size": 10}
    answers = await asyncio.gather(*(tenant.ask("POST", "/media/upload/init", body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [403] * 17
    refused = next(answer for answer in answers if answer.status_code == 403)
    assert read_problem(refused) == (403, "quota_exceeded")
    usage = await tenant.get("/media/usage")
    assert usage == {"bytes": 30, "objects": 3, "quotaBytes": 100_000, "quotaObjects": 3, "limits": []}
    taken = next(answer.json() for answer in answers if answer.status_code == 200)
    assert (await tenant.ask("POST", f"/jobs/{taken['jobId']}/cancel")).status_code == 202
    await tenant.end(taken["jobId"])
    assert (await tenant.get("/media/usage"))["objects"] == 2


REPEATABLE: dict[str, dict[str, object]] = {
    "/generate/image": {"prompt": "a kite"},
    "/media/process": {"operation": {"type": "resize", "width": 8}},
    "/media/import": {"url": "https://example.invalid/a.png"},
    "/media/upload/init": {"filename": "a.png", "contentType": "image/png", "size": 10},
}


@pytest.mark.parametrize("path", REPEATABLE)
async def test_a_repeated_request_is_answered_whatever_changed(tenant: Api, path: str) -> None:
    """A full library or a source that is gone refuses a new request, and no one whose key has an answer."""
    source = (await tenant.upload(picture()))["objectPath"]
    body = REPEATABLE[path] | ({"path": source} if path == "/media/process" else {})
    key = {"Idempotency-Key": "k"}
    first = await tenant.ask("POST", path, body, headers=key)
    assert first.status_code in {200, 202}, first.text
    await tenant.end(await tenant.generate(n=3))
    assert (await tenant.ask("DELETE", f"/media/{source}")).status_code == 204
    assert read_problem(await tenant.ask("POST", path, body))[0] in {403, 404}
    again = await tenant.ask("POST", path, body, headers=key)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    other = await tenant.ask("POST", "/generate/image", {"prompt": "another"}, headers=key)
    assert read_problem(other) == (422, "idempotency_conflict")


async def test_bytes_count_as_they_are(tenant: Api) -> None:
    """A file of unknown size is measured when it is there; one that does not fit is refused and removed."""
    data = picture(side=100)
    await tenant.upload(data)
    assert (await tenant.get("/media/usage"))["bytes"] == len(data)
    permission = await tenant.init(filename="b.png", contentType="image/png")
    assert (await tenant.put(permission, picture(side=180))).status_code == 200
    assert read_problem(await tenant.complete(permission)) == (403, "quota_exceeded")
    end = await tenant.end(permission["jobId"])
    assert (end.name, end.data["code"]) == ("upload_failed", "quota_exceeded")
    usage = await tenant.get("/media/usage")
    assert (usage["bytes"], usage["objects"]) == (len(data), 1)


async def test_a_full_library_generates_no_more(tenant: Api) -> None:
    """A generation is refused while the quota is used up."""
    await tenant.end(await tenant.generate(n=3))
    answer = await tenant.ask("POST", "/generate/image", {"prompt": "one more"})
    assert read_problem(answer) == (403, "quota_exceeded")


async def test_a_retry_needs_room_like_any_job(tenant: Api) -> None:
    """To do a job again is refused in a full library, but for the retry that was taken before."""
    job_id, key = await tenant.generate(n=2), {"Idempotency-Key": "k"}
    await tenant.end(job_id)
    first = await tenant.ask("POST", f"/jobs/{job_id}/retry", headers=key)
    await tenant.end(first.json()["jobId"])
    assert read_problem(await tenant.ask("POST", f"/jobs/{job_id}/retry")) == (403, "quota_exceeded")
    again = await tenant.ask("POST", f"/jobs/{job_id}/retry", headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
