"""Files from a browser straight into the store, and whatever may go wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from media_pipeline.media.uploads import LINGER, URL_LIFE
from tests.integration.program import (
    Api,
    LeapingClock,
    Running,
    Wire,
    picture,
    read_problem,
    running,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

PNG = {"filename": "a.png", "contentType": "image/png"}
HTML = b"<!doctype html><script>alert(1)</script>"
MINUTE = 60.0


async def fate(api: Api, permission: Wire) -> tuple[str, str | None]:
    """Return how an upload's job ended and why."""
    end = await api.end(permission["jobId"])
    return end.name, end.data.get("code")


def url_of(permission: Wire) -> str:
    """Return the address at which an upload would be read."""
    url, _, _ = str(permission["uploadURL"]).partition("?")
    return url


async def is_gone(service: Running, api: Api, permission: Wire) -> bool:
    """Check that nothing is left of a failed upload, and that every door says so."""
    assert await service.objects(api) == []
    assert await api.items() == []
    assert read_problem(await api.http.get(url_of(permission))) == (410, "object_gone")
    assert read_problem(await api.put(permission, picture())) == (410, "object_gone")
    assert read_problem(await api.complete(permission)) == (409, "upload_failed")
    return True


async def test_a_file_goes_from_init_to_the_library(api: Api) -> None:
    """init, PUT and complete bring a file in; its events tell start, bytes and end."""
    data = picture(side=300)
    async with api.events() as stream:
        permission = await api.init(filename="holiday.png", contentType="image/png", size=len(data))
        assert set(permission) == {"uploadURL", "objectPath", "jobId", "headers", "expiresAt"}
        job_id, path = permission["jobId"], permission["objectPath"]
        assert path == f"media/{api.user}/{job_id}/holiday.png"
        assert (await api.job(job_id))["state"] == "queued"
        assert (await api.put(permission, data)).status_code == 200
        answer = await api.complete(permission)
        assert answer.json() == {"url": url_of(permission), "path": path, "jobId": job_id}
        frames = [frame for frame in await stream.until("upload_complete") if frame.name != "ready"]
    told = [frame.data for frame in frames if frame.name == "upload_progress"]
    assert [frame.name for frame in frames if frame.id] == ["upload_started", "upload_complete"]
    assert {each.get("reportedBy") for each in told} == {None}
    assert [each["progress"] for each in told] == sorted(each["progress"] for each in told)
    assert told[-1]["progress"] == 99.0
    result = frames[-1].data["result"]
    assert {"url", "path"} <= result.keys()
    assert (result["url"], result["path"]) == (url_of(permission), path)
    (item,) = await api.items()
    assert {name: value for name, value in item.items() if value is not None} == result["item"]
    assert (item["source"], item["kind"], item["name"]) == ("upload", "image", "holiday.png")
    assert (item["width"], item["height"], item["size"]) == (300, 300, len(data))
    assert (await api.http.get(item["url"])).content == data
    assert (await api.http.get(item["thumbnailUrl"])).headers["content-type"] == "image/webp"


async def test_a_film_is_measured(api: Api) -> None:
    """An uploaded MP4 gets its sides, its length and a poster."""
    job_id = await api.generate("video", seconds=1, fps=12)
    (made,) = (await api.end(job_id)).data["result"]["items"]
    film = (await api.http.get(made["url"])).content
    permission = await api.upload(film, filename="film.mp4", content_type="video/mp4")
    (item,) = await api.items(f"?prefix={permission['jobId']}")
    assert (item["kind"], item["width"], item["duration"]) == ("video", 64, 1.0)
    assert (await api.http.get(item["thumbnailUrl"])).status_code == 200


@pytest.mark.parametrize(
    ("filename", "kept"),
    [
        ("../../etc/passwd.png", "etcpasswd.png"),
        ("..", "file"),
        ("a/b\\c.png", "abc.png"),
        ("cafe\u0301.png", "caf\u00e9.png"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("new\r\nline\0.png", "newline.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
    ],
)
async def test_a_filename_cannot_leave_its_folder(api: Api, filename: str, kept: str) -> None:
    """Whatever a file is called, its name is cleaned, kept and stands in its job's own folder."""
    permission = await api.upload(picture(), filename=filename)
    assert permission["objectPath"] == f"media/{api.user}/{permission['jobId']}/{kept}"
    (item,) = await api.items()
    assert (item["name"], item["path"]) == (kept, permission["objectPath"])
    assert (await api.http.get(item["url"])).status_code == 200


async def test_the_true_type_is_kept(api: Api) -> None:
    """A JPEG sent as PNG is served as what it is."""
    permission = await api.upload(picture(kind="JPEG"))
    (item,) = await api.items()
    assert item["contentType"] == "image/jpeg"
    assert (await api.http.get(url_of(permission))).headers["content-type"] == "image/jpeg"


async def test_a_file_without_a_declared_type_is_taken(api: Api) -> None:
    """A browser that knows no type sends none; the bytes decide."""
    await api.upload(picture(), content_type="")
    assert (await api.items())[0]["contentType"] == "image/png"


async def test_the_library_is_listed_by_prefix_kind_and_words(api: Api) -> None:
    """`prefix` is relative to the user's root; `kind` and `q` narrow further; sorts turn the order."""
    await api.end(await api.generate(prompt="a red kite"))
    await api.end(await api.generate("video", prompt="waves", seconds=0.5))
    permission = await api.upload(picture(side=400), filename="Märchen.png")

    async def names(query: str) -> list[str]:
        return [item["name"] for item in await api.items(query)]

    assert await names("") == ["Märchen.png", "waves", "a red kite"]
    assert await names("?sort=oldest") == ["a red kite", "waves", "Märchen.png"]
    assert (await names("?sort=largest"))[0] == "Märchen.png"
    assert await names("?prefix=images") == ["a red kite"]
    assert await names("?prefix=images/") == ["a red kite"]
    assert await names("?prefix=videos") == ["waves"]
    assert await names(f"?prefix={permission['jobId']}") == ["Märchen.png"]
    assert await names("?kind=video") == ["waves"]
    assert await names("?q=marchen") == ["Märchen.png"]
    assert await names("?q=RED ki") == ["a red kite"]
    assert await names("?prefix=nothing") == []
    page = await api.get("/media?limit=2")
    rest = await api.get(f"/media?limit=2&cursor={page['nextCursor']}")
    assert [item["name"] for item in page["items"] + rest["items"]] == ["Märchen.png", "waves", "a red kite"]
    assert rest["nextCursor"] is None


async def test_a_deleted_item_is_gone_for_good(service: Running, api: Api) -> None:
    """DELETE takes row, object and thumbnail, tells the other tabs, and answers 404 the second time."""
    permission = await api.upload(picture())
    path = permission["objectPath"]
    async with api.events() as stream:
        assert (await api.ask("DELETE", f"/media/{path}")).status_code == 204
        assert (await stream.until("media_deleted"))[-1].data["paths"] == [path]
    assert await service.objects(api) == []
    assert await api.items() == []
    assert (await api.http.get(url_of(permission))).status_code in {404, 410}
    assert read_problem(await api.ask("DELETE", f"/media/{path}")) == (404, "media_not_found")


async def test_anothers_object_is_like_a_missing_one(service: Running, api: Api) -> None:
    """Foreign paths answer exactly as paths that never were, wherever a path may be given."""
    mine = (await api.upload(picture()))["objectPath"]
    stranger = service.user(f"user-{uuid4().hex}")
    nothing = f"media/{api.user}/{uuid4()}/a.png"
    for method, path, body in (
        ("DELETE", "/media/{}", None),
        ("POST", "/media/upload/complete", {"objectPath": "{}"}),
        ("POST", "/media/upload/progress", {"objectPath": "{}", "loaded": 1, "total": 2}),
        ("POST", "/generate/image", {"prompt": "x", "images": [{"path": "{}"}]}),
    ):
        answers = []
        for target in (mine, nothing):
            sent = None if body is None else {**body}
            if sent and "objectPath" in sent:
                sent["objectPath"] = target
            elif sent:
                sent["images"] = [{"path": target}]
            answers.append(await stranger.ask(method, path.format(target), sent))
        foreign, missing = answers
        assert read_problem(foreign)[0] == 404
        assert foreign.content == missing.content
    assert (await api.items())[0]["path"] == mine


async def test_completing_before_the_bytes_is_refused(api: Api) -> None:
    """`complete` without a PUT is a 409, and the upload may still be done afterwards."""
    permission = await api.init(**PNG)
    assert read_problem(await api.complete(permission)) == (409, "upload_incomplete")
    assert (await api.put(permission, picture())).status_code == 200
    assert (await api.complete(permission)).status_code == 200
    assert await fate(api, permission) == ("upload_complete", None)


async def test_completing_twice_is_completing_once(api: Api) -> None:
    """`complete` gives the same answer at once, in parallel and after the end, and one item."""
    permission = await api.init(**PNG)
    await api.put(permission, picture())
    answers = list(await asyncio.gather(*(api.complete(permission) for _ in range(5))))
    assert await fate(api, permission) == ("upload_complete", None)
    answers.append(await api.complete(permission))
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert len(await api.items()) == 1


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        pytest.param(HTML, 415, "type_not_allowed", id="html named png"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "type_not_allowed", id="svg"),
        pytest.param(b"", 422, "empty_file", id="no bytes"),
        pytest.param(b"MZ" + bytes(500), 415, "type_not_allowed", id="a program"),
    ],
)
async def test_a_file_of_another_kind_is_refused(
    service: Running, api: Api, data: bytes, status: int, code: str
) -> None:
    """What a library does not take is told by `complete` and by `upload_failed`, and leaves nothing."""
    permission = await api.init(**PNG)
    assert (await api.put(permission, data)).status_code == 200
    assert read_problem(await api.complete(permission)) == (status, code)
    assert await fate(api, permission) == ("upload_failed", code)
    assert await is_gone(service, api, permission)


async def test_a_broken_picture_is_found_by_ingest(service: Running, api: Api) -> None:
    """A file that only begins as a picture is completed, then refused, and its URL answers 410."""
    permission = await api.init(**PNG)
    await api.put(permission, picture()[:2000])
    assert (await api.complete(permission)).status_code == 200
    assert await fate(api, permission) == ("upload_failed", "bad_media")
    assert await is_gone(service, api, permission)


async def test_a_cancelled_upload_takes_no_bytes(service: Running, api: Api) -> None:
    """Cancelling an upload closes its URL."""
    permission = await api.init(**PNG)
    assert (await api.ask("POST", f"/jobs/{permission['jobId']}/cancel")).status_code == 202
    assert await fate(api, permission) == ("job_cancelled", None)
    assert await is_gone(service, api, permission)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"filename": "a.svg", "contentType": "image/svg+xml"}, 415, "type_not_allowed"),
        ({"filename": "a.html", "contentType": "text/html"}, 415, "type_not_allowed"),
        ({**PNG, "size": 4 * 1024**3}, 413, "too_large"),
        ({**PNG, "size": 0}, 422, "empty_file"),
        ({**PNG, "size": -1}, 422, "invalid_request"),
        ({"filename": "", "contentType": "image/png"}, 422, "invalid_request"),
        ({"filename": "a.png", "contentType": "image/png\r\nX-Evil: 1"}, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_uploaded_is_said_at_init(api: Api, body: Wire, status: int, code: str) -> None:
    """A type or size that is not taken makes no job."""
    assert read_problem(await api.ask("POST", "/media/upload/init", body)) == (status, code)
    assert (await api.get("/jobs"))["jobs"] == []


async def test_a_put_is_held_to_what_was_signed(api: Api) -> None:
    """Another type, a byte too many or too few, another path or a forged signature is refused."""
    data = picture()
    permission = await api.init(**PNG, size=len(data))
    url = permission["uploadURL"]
    for target, sent, kind, status, code in (
        (url, data, "text/html", 415, "upload_type_mismatch"),
        (url, data + b"x", "image/png", 413, "too_large"),
        (url, data[:-1], "image/png", 400, "upload_size_mismatch"),
        (url.replace("a.png", "b.png"), data, "image/png", 403, "upload_forbidden"),
        (url[:-2] + "AA", data, "image/png", 403, "upload_forbidden"),
        (url.partition("?")[0], data, "image/png", 403, "upload_forbidden"),
    ):
        answer = await api.http.put(target, content=sent, headers={"Content-Type": kind})
        assert read_problem(answer) == (status, code)
    assert (await api.put(permission, data)).status_code == 200
    assert read_problem(await api.put(permission, data)) == (412, "object_changed")


async def test_a_client_tells_its_own_count(service: Running, api: Api) -> None:
    """`progress` goes to the user's other tabs marked as the client's, and nothing more is believed."""
    permission = await api.init(**PNG)
    body = {"objectPath": permission["objectPath"], "loaded": 50, "total": 200}
    async with api.events() as stream:
        await stream.next()
        assert (await api.ask("POST", "/media/upload/progress", body)).status_code == 204
        told = (await stream.next()).data
    assert told == {
        "jobId": permission["jobId"],
        "progress": 25.0,
        "message": "50 of 200 bytes",
        "reportedBy": "client",
    }
    over = {**body, "loaded": 201}
    assert read_problem(await api.ask("POST", "/media/upload/progress", over)) == (422, "invalid_request")


async def until_ended(service: Running, clock: LeapingClock, api: Api, permission: Wire) -> str:
    """Let the upload's time run out and return the name of its terminal event."""
    clock.leap((URL_LIFE + LINGER).total_seconds() + MINUTE)
    service.program.doorbell.ring("schedule")
    return (await api.end(permission["jobId"])).name


async def test_an_upload_that_never_comes_fails() -> None:
    """Once its URL has expired without bytes an upload fails, and its URL answers 410."""
    clock = LeapingClock()
    async with running(clock=clock, providers=[]) as service:
        api = service.user("ann")
        permission = await api.init(**PNG)
        assert await until_ended(service, clock, api, permission) == "upload_failed"
        job = await api.job(permission["jobId"])
        assert job["error"]["code"] == "upload_incomplete"
        assert read_problem(await api.http.get(url_of(permission))) == (410, "object_gone")
        assert read_problem(await api.put(permission, picture())) == (403, "upload_expired")


async def test_a_client_that_dies_after_its_put_loses_nothing() -> None:
    """Bytes that were never completed are ingested when the URL has expired."""
    clock = LeapingClock()
    async with running(clock=clock, providers=[]) as service:
        api = service.user("ann")
        permission = await api.init(**PNG)
        await api.put(permission, picture())
        assert await until_ended(service, clock, api, permission) == "upload_complete"
        assert (await api.items())[0]["path"] == permission["objectPath"]


async def test_an_upload_url_expires() -> None:
    """A quarter of an hour after `init` the URL takes nothing more."""
    clock = LeapingClock()
    async with running(clock=clock, providers=[]) as service:
        api = service.user("ann")
        permission = await api.init(**PNG)
        clock.leap(15 * MINUTE)
        assert read_problem(await api.put(permission, picture())) == (403, "upload_expired")


async def test_cancelling_in_the_middle_of_a_put_leaves_nothing(service: Running, api: Api) -> None:
    """Bytes that arrive while their upload is cancelled are not kept."""
    permission = await api.init(**PNG)
    data = picture()
    begun, go = asyncio.Event(), asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        yield data[:1000]
        begun.set()
        await go.wait()
        yield data[1000:]

    putting = asyncio.create_task(api.put(permission, halves()))
    await begun.wait()
    async with api.events() as stream:
        await stream.until("upload_progress", "ready")
        await api.ask("POST", f"/jobs/{permission['jobId']}/cancel")
    go.set()
    await putting
    assert await is_gone(service, api, permission)


async def test_a_finished_upload_cannot_be_replaced(api: Api) -> None:
    """What was looked into stays what it is: its URL takes no other bytes after the end."""
    data = picture()
    permission = await api.upload(data)
    assert (await api.put(permission, HTML)).status_code in {409, 410, 412}
    assert (await api.http.get(url_of(permission))).content == data
