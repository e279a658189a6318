"""The whole program over a bucket: a fake of Google Cloud Storage that verifies every signature."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from media_pipeline.media.quota import PROMISE_SECONDS
from media_pipeline.media.uploads import LINGER, SESSION_LIFE
from tests.integration.program import (
    DEADLINE,
    LeapingClock,
    Running,
    Wire,
    picture,
    read_object,
    read_problem,
    running,
)
from tests.servers.gcs_server import GcsServer, shared_gcs

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANY_FILE = {"filename": "c.png", "contentType": "image/png"}
BIG = 17 * 1024**2
SECRETS = ("X-Goog-", "Signature", "upload_id", "GoogleAccessId")
"""What no row and no event may hold."""


@dataclass
class Place:
    """A program over a bucket of its own, and where it keeps its rows."""

    service: Running
    fake: GcsServer
    bucket: str
    database: Path

    def rows(self) -> str:
        """Return everything that the database holds, as text."""
        with closing(sqlite3.connect(self.database)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            return "\n".join(
                repr(row) for (name,) in tables for row in connection.execute(f'SELECT * FROM "{name}"')
            )


@asynccontextmanager
async def over_a_bucket(folder: Path, **given: Any) -> AsyncIterator[Place]:
    fake, database = shared_gcs(), folder / "rows.db"
    bucket = fake.new_bucket()
    settings: dict[str, Any] = {
        "gcs_bucket": bucket,
        "gcs_service_account_json": fake.account,
        "storage_emulator_host": fake.url,
        "database_url": f"sqlite:///{database}",
        **given,
    }
    async with running(**settings) as service:
        yield Place(service, fake, bucket, database)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """A program for all; a test's user is its own."""
    async with over_a_bucket(tmp_path_factory.mktemp("bucket")) as made:
        yield made


async def generated(place: Place, user: str) -> Wire:
    """Generate a picture and return its item."""
    api = place.service.user(user)
    end = await api.end(await api.generate())
    items: list[Wire] = end.data["result"]["items"]
    return items[0]


async def test_an_address_of_an_event_leads_to_the_bytes(place: Place) -> None:
    """What `generation_complete` says is the service's own address; GET, HEAD and a range follow it."""
    url = (await generated(place, "ann"))["url"]
    assert url.startswith(f"{place.service.program.settings.base_url}/m/")
    assert "ann" not in url
    async with httpx2.AsyncClient(follow_redirects=True) as anyone:
        whole = await anyone.get(url)
        part = await anyone.get(url, headers={"Range": "bytes=1-3"})
        head = await anyone.head(url)
    assert whole.content.startswith(b"\x89PNG")
    assert whole.url.host in place.fake.url
    assert (part.status_code, part.content) == (206, b"PNG")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == "image/png"


async def test_no_row_and_no_event_holds_a_signature(place: Place) -> None:
    """Generation, a small and a big upload: all that is stored or streamed is free of signed URLs."""
    api = place.service.user("ben")
    async with api.events() as stream:
        job = await api.generate()
        await stream.until("generation_complete")
        small = await api.upload(picture())
        big = await api.init(filename="big.mp4", contentType="video/mp4", size=BIG)
        await api.ask("POST", f"/jobs/{big['jobId']}/cancel")
        await stream.until("job_cancelled")
        heard = stream.raw.decode()
    assert "X-Goog-Signature" in small["uploadURL"]
    assert "upload_id" in big["uploadURL"]
    kept = place.rows()
    assert job in heard
    assert job in kept
    answers = json.dumps([await api.get("/media"), await api.get("/jobs")])
    assert [secret for secret in SECRETS if secret in heard + kept + answers] == []


async def test_a_deleted_object_is_gone_from_its_address(place: Place) -> None:
    """After DELETE the address answers 404, and a file that ingest refused answers 410."""
    item, api = await generated(place, "cleo"), place.service.user("cleo")
    assert (await api.ask("DELETE", f"/media/{item['path']}")).status_code == 204
    assert read_problem(await place.service.http.get(item["url"])) == (404, "object_not_found")
    permission = await api.init(filename="a.png", contentType="image/png")
    assert (await api.put(permission, b"\x89PNG\r\n\x1a\n" + b"no picture" * 9)).status_code == 200
    done = read_object(await api.complete(permission))
    assert (await api.end(permission["jobId"])).name == "upload_failed"
    assert read_problem(await place.service.http.get(done["url"])) == (410, "object_gone")


async def test_a_big_file_gets_a_session_for_the_page_that_asks(place: Place) -> None:
    """`init` says how big a chunk is; the session answers that page; one plain PUT works as well."""
    api, own = place.service.user("dan"), place.service.program.settings.base_url
    body = {"filename": "big.png", "contentType": "image/png", "size": BIG}
    asked = await api.ask("POST", "/media/upload/init", body, headers={"Origin": own})
    permission = read_object(asked)
    assert permission["resumable"]["chunkSize"] % (256 * 1024) == 0
    content = picture() + b"\0" * BIG
    put = await place.service.http.put(
        permission["uploadURL"], content=content[:BIG], headers={**permission["headers"], "Origin": own}
    )
    assert put.status_code == 200
    assert put.headers["access-control-allow-origin"] == own
    assert (await api.complete(permission)).status_code == 200


async def test_an_upload_in_chunks_may_take_a_day(tmp_path: Path) -> None:
    """Until its session's time is over an upload is waited for; as long its room is promised."""
    clock = LeapingClock()
    async with over_a_bucket(tmp_path, clock=clock, media_quota_objects=2) as place:
        api = place.service.user("hal")
        late, never = [
            await api.init(filename=f"{name}.png", contentType="image/png", size=BIG) for name in ("a", "b")
        ]
        clock.leap(SESSION_LIFE.total_seconds() - 60)
        assert {(await api.job(each["jobId"]))["state"] for each in (late, never)} == {"queued"}
        assert (await api.ask("POST", "/media/upload/init", ANY_FILE)).status_code == 403
        content = picture() + b"\0" * BIG
        await api.put(late, content[:BIG])
        assert (await api.complete(late)).status_code == 200
        assert (await api.end(late["jobId"])).name == "upload_complete"
        clock.leap(LINGER.total_seconds() + 120)
        place.service.program.doorbell.ring("schedule")
        assert (await api.end(never["jobId"])).data["code"] == "upload_incomplete"
    assert timedelta(seconds=PROMISE_SECONDS) > SESSION_LIFE + LINGER


async def test_a_file_of_another_length_is_refused(place: Place) -> None:
    """Where the bucket took more or fewer bytes than were announced, the upload fails and its object goes."""
    api = place.service.user("ida")
    permission = await api.init(filename="a.png", contentType="image/png", size=BIG)
    await place.service.program.store.upload(permission["objectPath"], picture(), "image/png")
    assert read_problem(await api.complete(permission)) == (422, "wrong_size")
    assert (await api.end(permission["jobId"])).data["code"] == "wrong_size"
    url = await place.service.program.store.get_url(permission["objectPath"])
    assert read_problem(await place.service.http.get(url)) == (410, "object_gone")


async def test_a_page_from_elsewhere_gets_no_session_of_its_own(place: Place) -> None:
    """An origin that the settings do not name is not passed on to the bucket."""
    api = place.service.user("eve")
    body = {"filename": "big.png", "contentType": "image/png", "size": BIG}
    asked = await api.ask("POST", "/media/upload/init", body, headers={"Origin": "https://evil.example"})
    url = read_object(asked)["uploadURL"]
    answer = await place.service.http.put(
        url, headers={"Origin": "https://evil.example", "Content-Range": f"bytes */{BIG}"}
    )
    assert "access-control-allow-origin" not in answer.headers


async def test_a_small_file_says_nothing_of_chunks(place: Place) -> None:
    """The answer of `init` for a plain PUT has the given fields and no other."""
    permission = await place.service.user("fay").init(filename="a.png", contentType="image/png", size=1000)
    assert permission.keys() == {"uploadURL", "objectPath", "jobId", "headers", "expiresAt"}


async def test_a_public_base_is_the_address(tmp_path: Path) -> None:
    """With `MEDIA_URLS=public` addresses are the base and the path, and `/m/` is not there."""
    base = "https://cdn.example.com/pictures"
    async with over_a_bucket(tmp_path, media_urls="public", media_public_base_url=base) as place:
        item = await generated(place, "gil")
        assert item["url"] == f"{base}/{item['path']}"
        assert (await place.service.http.get("/m/" + "A" * 80)).status_code == 404


async def test_a_picture_asks_little_of_its_bucket(tmp_path: Path) -> None:
    """One write an object, nothing looked at before or after, and two listings for what is to be tidied."""
    async with over_a_bucket(tmp_path) as place:
        job = await (api := place.service.user("jo")).generate()
        await api.end(job)
        async with asyncio.timeout(DEADLINE):
            while await place.service.program.queue.unsettled(older_than=0):  # noqa: ASYNC110 - of a job's tidying nobody hears
                await asyncio.sleep(0.01)
        asked = Counter(
            entry["method"] for entry in place.fake.log(place.bucket) if "preview_" not in entry["target"]
        )
    assert asked == {"PUT": 2, "GET": 2}
