"""The addresses of a bucket's objects, over a store that signs reads in plain sight."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI

from media_pipeline.api.problems import install_problems
from media_pipeline.api.routes.addresses import LIFE, addresses_routes
from media_pipeline.api.routes.storage import Standing
from media_pipeline.storage.addresses import StableAddresses
from media_pipeline.storage.memory import MemoryStore
from tests.clocks import FakeClock

BASE = "https://media.test"
PATH = "media/ann/images/1_0.png"
HOUR = 3600.0


class SigningMemoryStore(MemoryStore):
    """Signs by writing into the URL what it was asked for."""

    async def sign_read(
        self,
        path: str,
        *,
        expires_in: timedelta,
        now: datetime | None = None,
        disposition: str | None = None,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> str:
        assert now is not None
        ends = round((now + expires_in).timestamp())
        return f"https://bucket.test/{path}?{method}&ends={ends}&as={disposition or ''}"


class Setting:
    def __init__(self) -> None:
        self.clock = FakeClock(1_750_000_000.0)
        self.store = SigningMemoryStore(BASE, clock=self.clock)
        self.addresses = StableAddresses(BASE, b"k" * 32)
        self.standings: dict[str, Standing] = {}
        app = FastAPI()
        install_problems(app)
        router = addresses_routes(self.addresses, self.store, standing=self._standing, clock=self.clock)
        app.include_router(router)
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE)

    async def _standing(self, path: str) -> Standing:
        return self.standings.get(path, "open")

    async def ask(self, path: str = PATH, method: str = "GET", **headers: str) -> httpx2.Response:
        return await self.http.request(method, self.addresses.url(path), headers=headers)

    async def ends(self) -> float:
        location = (await self.ask()).headers["location"]
        return float(parse_qs(urlsplit(location).query)["ends"][0])


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    made = Setting()
    await made.store.upload(PATH, b"123", "image/png")
    yield made
    await made.http.aclose()


async def test_an_address_leads_to_a_signed_url(setting: Setting) -> None:
    """GET is redirected to a URL signed for GET, HEAD to one signed for HEAD, with any `Range`."""
    for method in ("GET", "HEAD"):
        answer = await setting.ask(method=method, Range="bytes=0-1")
        assert answer.status_code == 302
        assert answer.headers["location"].startswith(f"https://bucket.test/{PATH}?{method}&")
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_all_who_come_within_a_window_get_one_url(setting: Setting) -> None:
    """The signed URL changes every three hours, not with every request, so that caches keep the bytes."""
    setting.clock.advance(-setting.clock.now() % (3 * HOUR))
    first = await setting.ends()
    setting.clock.advance(3 * HOUR - 1)
    assert await setting.ends() == first
    setting.clock.advance(1)
    assert await setting.ends() == first + 3 * HOUR


async def test_a_remembered_redirect_outlives_no_signed_url(setting: Setting) -> None:
    """At any instant the URL has hours left when the last cache forgets the redirect."""
    for _ in range(50):
        answer = await setting.ask()
        age = re.fullmatch(r"public, max-age=(\d+)", answer.headers["cache-control"])
        assert age is not None
        left = await setting.ends() - setting.clock.now()
        assert left <= LIFE.total_seconds()
        assert left - int(age[1]) >= 8 * HOUR
        setting.clock.advance(0.4 * HOUR)


async def test_what_a_browser_could_run_is_an_attachment(setting: Setting) -> None:
    """The bucket is asked to say so where the type is no picture, film or sound."""
    await setting.store.upload("media/ann/1/page.html", b"<script>", "text/html")
    asked = (await setting.ask("media/ann/1/page.html")).headers["location"]
    assert 'as=attachment; filename="page.html"' in asked.replace("%3B", ";")
    assert (await setting.ask()).headers["location"].endswith("as=")


async def test_what_is_gone_says_so(setting: Setting) -> None:
    """A refused upload is 410 from then on, a deleted object 404, and no cache remembers either."""
    setting.standings[PATH] = "gone"
    refused = await setting.ask()
    del setting.standings[PATH]
    await setting.store.delete(PATH)
    deleted = await setting.ask()
    assert (deleted.status_code, deleted.json()["code"]) == (404, "object_not_found")
    assert (refused.status_code, refused.json()["code"]) == (410, "object_gone")
    assert {answer.headers["cache-control"] for answer in (deleted, refused)} == {"no-store"}


async def test_a_guess_is_told_nothing(setting: Setting) -> None:
    """An address that was never made answers like one whose object is not there."""
    missing = await setting.ask("media/ann/images/2_0.png")
    guessed = await setting.http.get(f"{BASE}/m/{'A' * 90}")
    assert guessed.status_code == missing.status_code == 404
    assert guessed.content == missing.content
    assert guessed.headers == missing.headers


async def test_windows_begin_with_the_day(setting: Setting) -> None:
    """The window begins with the day in UTC, whatever the machine's zone."""
    setting.clock.advance(-setting.clock.now() % (24 * HOUR))
    midnight = datetime.fromtimestamp(setting.clock.now(), UTC)
    assert (midnight.hour, midnight.minute) == (0, 0)
    assert await setting.ends() == (midnight + LIFE).timestamp()
