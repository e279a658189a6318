"""`doctor` over a bucket: each check is well on a good one, and says how to mend a bad one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from media_pipeline.bucket_checks import BucketChecks
from media_pipeline.clock import SystemClock
from media_pipeline.finding import Finding
from media_pipeline.jsonvalue import JsonObject
from media_pipeline.storage.gcs import GCSStore
from media_pipeline.storage.store import StoreError
from tests.acceptance.process import run
from tests.servers.gcs_server import GcsServer, shared_gcs

ORIGIN = "https://studio.example.com"
DEPLOY = Path(__file__).parents[2] / "deploy/gcs"
CORS = json.loads((DEPLOY / "cors.json").read_text())
LIFECYCLE = json.loads((DEPLOY / "lifecycle.json").read_text())

Change = Callable[[httpx2.Request, httpx2.Response], None]


class Changing(httpx2.AsyncBaseTransport):
    """The network, with its answers changed on their way."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._inner.handle_async_request(request)
        self._change(request, answer)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


class LateClock(SystemClock):
    """Two minutes behind."""

    def now(self) -> float:
        return super().now() - 120


def untouched(request: httpx2.Request, answer: httpx2.Response) -> None:
    """Change nothing."""


async def make_bucket(fake: GcsServer, config: dict[str, Any]) -> str:
    """Make a bucket as `gcloud` would and return its name."""
    name = fake.new_bucket()
    place = "/computeMetadata/v1/instance/service-accounts/default/token"
    async with httpx2.AsyncClient(base_url=fake.url) as http:
        token = (await http.get(place, headers={"Metadata-Flavor": "Google"})).json()["access_token"]
        patched = await http.patch(
            f"/storage/v1/b/{name}", json=config, headers={"Authorization": f"Bearer {token}"}
        )
        assert patched.status_code == 200
    return name


class Doctor:
    """Examines buckets on the fake."""

    def __init__(self) -> None:
        self.fake = shared_gcs()
        self.stores: list[GCSStore] = []

    def open(self, bucket: str) -> GCSStore:
        store = GCSStore(bucket, self.fake.account, url=self.fake.url)
        self.stores.append(store)
        return store

    async def examine(
        self,
        *,
        cors: list[Any] = CORS,
        lifecycle: Any = LIFECYCLE,
        change: Change = untouched,
        clock: SystemClock | None = None,
        bucket: str | None = None,
        public: bool = False,
    ) -> dict[str, Finding]:
        """Return the findings by subject."""
        name = bucket or await make_bucket(self.fake, {"cors": cors, "lifecycle": lifecycle})
        async with httpx2.AsyncClient(transport=Changing(change)) as http:
            store = self.open(name)
            checks = BucketChecks(
                store,
                http,
                origins=(ORIGIN,),
                clock=clock or SystemClock(),
                describe=store.describe_bucket,
                public=public,
            )
            return {finding.subject: finding async for finding in checks.run()}


@pytest.fixture
async def doctor() -> AsyncIterator[Doctor]:
    made = Doctor()
    yield made
    for store in made.stores:
        await store.aclose()


def problems(findings: dict[str, Finding]) -> dict[str, str]:
    return {subject: found.problem for subject, found in findings.items() if found.problem is not None}


async def test_a_bucket_as_deploy_makes_it_is_well(doctor: Doctor) -> None:
    """The settings in `deploy/gcs` pass every check, and the probe is gone afterwards."""
    findings = await doctor.examine()
    assert problems(findings) == {}
    assert list(findings) == [
        "bucket access",
        "bucket clock",
        "bucket signing",
        f"bucket CORS for {ORIGIN}",
        f"bucket sessions for {ORIGIN}",
        "bucket lifecycle",
    ]
    assert await doctor.stores[0].list("") == []


async def test_a_bucket_that_is_not_there_is_the_only_finding(doctor: Doctor) -> None:
    """Without access nothing else is tried."""
    findings = await doctor.examine(bucket="no-such-bucket")
    assert list(findings) == ["bucket access"]
    assert "There is no such bucket." in problems(findings)["bucket access"]


async def test_a_clock_that_is_wrong_is_told(doctor: Doctor) -> None:
    """A machine two minutes behind the bucket is told by how much."""
    told = problems(await doctor.examine(clock=LateClock()))["bucket clock"]
    assert "NTP" in told
    seconds = re.search(r"differ by (\d+) seconds", told)
    assert seconds is not None
    assert 110 <= int(seconds[1]) <= 121


async def test_a_signature_that_is_refused_is_told_by_its_code(doctor: Doctor) -> None:
    """What the bucket says of a signed PUT stands in the finding."""

    def refuse(request: httpx2.Request, answer: httpx2.Response) -> None:
        if request.method == "PUT" and "X-Goog-Signature" in str(request.url):
            answer.status_code = 403

    assert "403" in problems(await doctor.examine(change=refuse))["bucket signing"]


async def test_a_bucket_that_overwrites_is_told(doctor: Doctor) -> None:
    """A second PUT that is taken means that create-only is not held."""

    def take(request: httpx2.Request, answer: httpx2.Response) -> None:
        if answer.status_code == 412:
            answer.status_code = 200

    assert "overwrote" in problems(await doctor.examine(change=take))["bucket signing"]


@pytest.mark.parametrize(
    "cors",
    [
        [],
        [{**CORS[0], "origin": ["https://other.example.com"]}, CORS[1]],
        [{**CORS[0], "method": ["POST"]}, CORS[1]],
        [{**CORS[0], "responseHeader": ["Content-Type"]}, CORS[1]],
        [CORS[0]],
    ],
)
async def test_a_page_that_may_not_use_the_bucket_is_named(doctor: Doctor, cors: list[Any]) -> None:
    """No rule, another origin, method or header, or no rule for reads: the page's origin stands there."""
    told = problems(await doctor.examine(cors=cors))[f"bucket CORS for {ORIGIN}"]
    assert f"Name {ORIGIN} in the bucket's CORS rules" in told


async def test_a_session_that_hides_how_far_it_is_is_told(doctor: Doctor) -> None:
    """Where a page may not read `Range`, big uploads cannot be resumed."""

    def hide(request: httpx2.Request, answer: httpx2.Response) -> None:
        if "content-range" in request.headers:
            answer.headers["access-control-expose-headers"] = "Content-Type"

    told = problems(await doctor.examine(change=hide))[f"bucket sessions for {ORIGIN}"]
    assert "lacks Range" in told


async def test_a_session_is_not_left_behind(doctor: Doctor) -> None:
    """The probe's session is deleted whatever was found."""
    before = doctor.fake.control()["open_sessions"]
    await doctor.examine(cors=[])
    assert doctor.fake.control()["open_sessions"] == before


async def test_a_public_bucket_that_is_not_is_told(doctor: Doctor) -> None:
    """With a public base the probe must be readable without a signature."""
    bucket = await make_bucket(doctor.fake, {"cors": CORS, "lifecycle": LIFECYCLE})
    closed = problems(await doctor.examine(bucket=bucket, public=True))
    assert list(closed) == ["bucket public base"]
    assert "Let everyone read objects" in closed["bucket public base"]
    doctor.fake.control(public=[bucket])
    assert problems(await doctor.examine(bucket=bucket, public=True)) == {}


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([], "never put together"),
        ([{"action": {"type": "Delete"}, "condition": {"age": 30}}], "deletes what users own"),
        (
            [{"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["media/"]}}],
            "deletes what users own",
        ),
        (
            [{"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["tmp/", "deriv"]}}],
            "deletes what users own",
        ),
        (
            [
                {"action": {"type": "Delete"}, "condition": {"age": 30, "isLive": False}},
                {"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["tmp/"]}},
            ],
            "never put together",
        ),
    ],
)
async def test_a_lifecycle_that_hurts_is_told(doctor: Doctor, rules: list[Any], told: str) -> None:
    """Rules that delete what users own, or none for what was left half-way, are named."""
    assert told in problems(await doctor.examine(lifecycle={"rule": rules}))["bucket lifecycle"]


@pytest.mark.parametrize(("cors", "code"), [(None, 1), ("own", 0)])
async def test_the_command_says_it_and_its_exit_code_too(
    doctor: Doctor, tmp_path: Path, cors: str | None, code: int
) -> None:
    """`media-pipeline doctor` with a bucket in its settings: 1 and how to mend it, or 0."""
    rules = [{**CORS[0], "origin": ["http://localhost:8080"]}, CORS[1]] if cors else []
    bucket = await make_bucket(doctor.fake, {"cors": rules, "lifecycle": LIFECYCLE})
    settings = {"gcs_service_account_json": doctor.fake.account, "storage_emulator_host": doctor.fake.url}
    done = await asyncio.to_thread(run, tmp_path, "doctor", gcs_bucket=bucket, **settings)
    assert done.returncode == code, done.stdout + done.stderr
    assert "ok   bucket signing: signed PUT and GET work" in done.stdout
    assert ("Name http://localhost:8080 in the bucket's CORS rules" in done.stdout) == (code == 1)
    assert "X-Goog" not in done.stdout + done.stderr


async def test_a_lifecycle_that_may_not_be_seen_is_no_failure(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account without `storage.buckets.get` is told that this one thing was not checked."""

    async def hidden(store: GCSStore) -> JsonObject:
        raise StoreError("status 403")

    monkeypatch.setattr(GCSStore, "describe_bucket", hidden)
    finding = (await doctor.examine())["bucket lifecycle"]
    assert finding.problem is None
    assert "not checked" in finding.detail
