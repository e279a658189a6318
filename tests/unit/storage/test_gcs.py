"""What the store in Google's cloud does beyond the promises of every store."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from media_pipeline.storage.gcs import GCSStore
from media_pipeline.storage.patience import Patience
from media_pipeline.storage.store import ABSENT, PreconditionFailed, StoreError
from tests.servers.gcs_server import GcsServer, shared_gcs

from .dispositions import check_dispositions

MIB = 1024**2
PATH = "media/1/films/ä b.mp4"
ORIGIN = "https://studio.example.com"
QUICK = Patience(tries=4, pause=0.001)


@pytest.fixture(scope="module")
def fake() -> GcsServer:
    return shared_gcs()


@pytest.fixture
def bucket(fake: GcsServer) -> str:
    return fake.new_bucket()


@pytest.fixture
async def store(fake: GcsServer, bucket: str) -> AsyncIterator[GCSStore]:
    opened = GCSStore(bucket, fake.account, url=fake.url, patience=QUICK, timeout=5)
    yield opened
    await opened.aclose()


@pytest.fixture(scope="module")
def web() -> Iterator[httpx2.Client]:
    with httpx2.Client() as client:
        yield client


async def pieces(count: int, size: int = MIB) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 251]) * size


async def test_a_signed_put_is_taken_once(store: GCSStore, web: httpx2.Client) -> None:
    """With a size, exactly what was announced is taken, once, under its type."""
    permission = await store.upload_presigned(PATH, "image/png", size=3)
    headers = dict(permission.headers)
    other = {**headers, "Content-Type": "image/jpeg"}
    assert web.put(permission.url, content=b"123", headers=other).status_code == 403
    assert web.put(permission.url, content=b"1234", headers=headers).status_code == 400
    assert web.put(permission.url, content=b"123", headers=headers).status_code == 200
    assert web.put(permission.url, content=b"321", headers=headers).status_code == 412
    item = await store.stat(PATH)
    assert (await store.read(PATH, version=item.version), item.content_type) == (b"123", "image/png")


async def test_a_plain_fetch_is_enough_without_a_size(store: GCSStore, web: httpx2.Client) -> None:
    """Without a size a client sends the type alone, or nothing where there is none."""
    typed = await store.upload_presigned(PATH, "image/png")
    assert web.put(typed.url, content=b"1", headers={"Content-Type": "image/png"}).status_code == 200
    untyped = await store.upload_presigned(PATH, "")
    assert web.put(untyped.url, content=b"2").status_code == 200


async def test_an_expired_url_is_refused(store: GCSStore, web: httpx2.Client) -> None:
    """A URL that was signed too long ago is told to have expired."""
    past = datetime.now(UTC) - timedelta(minutes=20)
    permission = await store.upload_presigned(PATH, "image/png", now=past)
    answer = web.put(permission.url, content=b"1", headers=dict(permission.headers))
    assert (answer.status_code, "ExpiredToken" in answer.text) == (400, True)


async def test_a_large_upload_is_a_session(store: GCSStore, web: httpx2.Client) -> None:
    """Above 16 MiB the URL is a resumable session for the browser's origin, which one plain PUT ends."""
    size = 16 * MIB + 1
    assert (await store.upload_presigned(PATH, "video/mp4", size=size - 1)).chunk_bytes is None
    permission = await store.upload_presigned(PATH, "video/mp4", size=size, origin=ORIGIN)
    assert (permission.chunk_bytes is not None, permission.headers) == (True, {})
    body = b"f" * size
    answer = web.put(permission.url, content=body, headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    item = await store.stat(PATH)
    assert (item.size, item.content_type) == (size, "video/mp4")
    again = await store.upload_presigned(PATH + "2", "video/mp4", size=size, origin=ORIGIN)
    assert web.put(again.url, content=body + b"1").status_code == 400


async def test_a_session_never_overwrites(store: GCSStore, web: httpx2.Client) -> None:
    """What came to stand at the path meanwhile stays, and a session for it cannot begin."""
    permission = await store.upload_presigned(PATH, "video/mp4", size=17 * MIB)
    await store.upload(PATH, b"first", "video/mp4")
    assert web.put(permission.url, content=b"f" * 17 * MIB).status_code == 412
    with pytest.raises(PreconditionFailed):
        await store.upload_presigned(PATH, "video/mp4", size=17 * MIB)
    assert await store.read(PATH) == b"first"


async def test_a_signed_read_opens_the_object(store: GCSStore, web: httpx2.Client) -> None:
    """A signed URL reads the object, with the disposition that was signed, and the same one twice."""
    await store.upload(PATH, b"film", "video/mp4")
    now = datetime.now(UTC).replace(microsecond=0)
    life = timedelta(hours=1)
    url = await store.sign_read(PATH, expires_in=life, now=now, disposition="attachment")
    assert url == await store.sign_read(PATH, expires_in=life, now=now, disposition="attachment")
    answer = web.get(url)
    assert (answer.content, answer.headers["content-disposition"]) == (b"film", "attachment")


async def test_a_long_stream_is_one_object(store: GCSStore, fake: GcsServer) -> None:
    """A stream longer than a piece goes by a session, whole, and back in pieces; nothing is left open."""
    before = fake.control()["open_sessions"]
    await store.upload(PATH, pieces(21), "video/mp4", if_version=ABSENT)
    seen = (await store.stat(PATH)).version
    with pytest.raises(PreconditionFailed):
        await store.upload(PATH, pieces(17), "video/mp4", if_version=ABSENT)
    await store.upload(PATH, pieces(9), "video/mp4", if_version=seen)
    back = b"".join([chunk async for chunk in store.stream(PATH)])
    assert back == b"".join([piece async for piece in pieces(9)])
    assert fake.control()["open_sessions"] == before


@pytest.mark.parametrize("kind", ["unavailable", "reset", "lost", "cut", "corrupt", "stall"])
async def test_a_session_goes_on_after_a_fault(
    store: GCSStore, fake: GcsServer, bucket: str, kind: str
) -> None:
    """A session that is cut, stalled or refused in its middle goes on from what Google has."""
    fake.inject({"kind": kind, "times": 2, "method": "PUT", "contains": "upload_id", "seconds": 0})
    upload = store.upload(PATH, pieces(20), "video/mp4", if_version=ABSENT)
    if kind == "corrupt":
        with pytest.raises(StoreError):  # the stream is gone; what matters is that nothing is there
            await upload
        assert await store.list("") == []
        return
    await upload
    assert await store.read(PATH) == b"".join([piece async for piece in pieces(20)])


@pytest.mark.parametrize(
    "kind", ["unavailable", "too_many", "reset", "lost", "corrupt", "corrupt_lost", "stall"]
)
async def test_a_write_is_done_once_whatever_happens(
    store: GCSStore, fake: GcsServer, bucket: str, kind: str
) -> None:
    """A create-only write whose answer is lost is seen to have landed, and is not taken for another's."""
    fake.inject({"kind": kind, "times": 1, "method": "PUT", "contains": bucket, "seconds": 0})
    await store.upload(PATH, b"once", "image/png", if_version=ABSENT)
    assert await store.read(PATH) == b"once"
    writes = [entry for entry in fake.log(bucket) if entry["method"] == "PUT"]
    assert len(writes) == (3 if kind == "corrupt_lost" else 2)  # the second finds what the first one left
    assert all(entry["precondition"] for entry in writes)


@pytest.mark.parametrize("kind", ["unavailable", "reset", "broken", "corrupt", "stall"])
async def test_a_read_is_whole_whatever_happens(
    store: GCSStore, fake: GcsServer, bucket: str, kind: str
) -> None:
    """A read that breaks off or whose bytes were changed on their way is made good."""
    body = bytes(range(256)) * 4000
    await store.upload(PATH, body, "image/png")
    fake.inject({"kind": kind, "times": 2, "method": "GET", "contains": bucket, "seconds": 0})
    assert await store.read(PATH) == body
    if kind != "corrupt":
        fake.inject({"kind": kind, "times": 2, "method": "GET", "contains": bucket, "seconds": 0})
        assert b"".join([chunk async for chunk in store.stream(PATH)]) == body


async def test_a_corrupt_stream_is_told(store: GCSStore, fake: GcsServer, bucket: str) -> None:
    """A stream whose bytes were changed on their way does not end as if all were well."""
    await store.upload(PATH, b"x" * MIB, "image/png")
    fake.inject({"kind": "corrupt", "times": 1, "method": "GET", "contains": bucket})
    with pytest.raises(StoreError):
        [chunk async for chunk in store.stream(PATH)]


async def test_it_gives_up_in_the_end(store: GCSStore, fake: GcsServer, bucket: str) -> None:
    """An outage that does not end is told, after as many tries as are allowed."""
    fake.inject({"kind": "unavailable", "contains": bucket})
    with pytest.raises(StoreError, match="failed 4 times"):
        await store.stat(PATH)
    fake.inject()
    assert len(fake.log(bucket)) == 4


async def test_a_key_may_be_a_file(fake: GcsServer, bucket: str, tmp_path: Path) -> None:
    """`GCS_SERVICE_ACCOUNT_JSON` is the JSON or a path to it; what is neither is told at once."""
    (tmp_path / "key.json").write_text(fake.account)
    store = GCSStore(bucket, str(tmp_path / "key.json"), url=fake.url)
    await store.upload(PATH, b"1", "image/png")
    await store.aclose()
    for wrong in ("{}", str(tmp_path / "none.json"), '{"type": "service_account"}', "{no json"):
        with pytest.raises(StoreError, match="GCS_SERVICE_ACCOUNT_JSON"):
            GCSStore(bucket, wrong, url=fake.url)


@pytest.fixture
def machine(fake: GcsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make this a machine of Google's, whose metadata server is the fake."""
    monkeypatch.setenv("GCE_METADATA_HOST", fake.url.removeprefix("http://"))
    monkeypatch.setenv("GCE_METADATA_IP", fake.url.removeprefix("http://"))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)


@pytest.mark.usefixtures("machine")
async def test_a_machine_signs_without_a_key(fake: GcsServer, bucket: str, web: httpx2.Client) -> None:
    """With a machine's own identity its metadata server gives tokens and IAM signatures, once each."""
    store = GCSStore(bucket, url=fake.url, iam_url=fake.url)
    before = fake.control()["signed"]
    now = datetime.now(UTC)
    permission = await store.upload_presigned(PATH, "image/png", size=1, now=now)
    assert permission == await store.upload_presigned(PATH, "image/png", size=1, now=now)
    assert fake.control()["signed"] == before + 1
    assert web.put(permission.url, content=b"1", headers=dict(permission.headers)).status_code == 200
    assert (await store.stat(PATH)).size == 1
    await store.aclose()


@pytest.mark.parametrize("given", [True, False], ids=["named", "default"])
async def test_another_providers_identity_is_enough(
    fake: GcsServer,
    bucket: str,
    web: httpx2.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    given: bool,
) -> None:
    """With workload identity a foreign token becomes Google's, and IAM signs as the account behind it."""
    (tmp_path / "token").write_text("an-identity-from-elsewhere")
    account = f"{fake.url}/v1/projects/-/serviceAccounts/{json.loads(fake.account)['client_email']}"
    identity = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{fake.url}/v1/token",
        "service_account_impersonation_url": f"{account}:generateAccessToken",
        "credential_source": {"file": str(tmp_path / "token")},
    }
    (tmp_path / "identity.json").write_text(json.dumps(identity))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "identity.json"))
    monkeypatch.setitem(sys.modules, "requests", None)  # the program has to do without
    store = GCSStore(bucket, json.dumps(identity) if given else None, url=fake.url, iam_url=fake.url)
    permission = await store.upload_presigned(PATH, "image/png", size=1)
    assert web.put(permission.url, content=b"1", headers=dict(permission.headers)).status_code == 200
    assert await store.read(PATH) == b"1"
    await store.aclose()


@pytest.mark.usefixtures("machine")
async def test_a_signature_is_asked_for_again(fake: GcsServer, bucket: str, web: httpx2.Client) -> None:
    """IAM that is busy or away for a moment is asked again; for good, it is told without an address."""
    store = GCSStore(bucket, url=fake.url, iam_url=fake.url, patience=QUICK)
    for kind in ("unavailable", "reset"):
        fake.inject({"kind": kind, "times": 2, "contains": "signBlob"})
        permission = await store.upload_presigned(f"m/{kind}", "image/png", size=1)
        assert web.put(permission.url, content=b"1", headers=dict(permission.headers)).status_code == 200
    fake.inject({"kind": "unavailable", "contains": "signBlob"})
    with pytest.raises(StoreError, match=r"IAM did not sign as .*failed 4 times") as told:
        await store.upload_presigned(PATH, "image/png", size=1)
    fake.inject()
    assert "http" not in str(told.value)
    await store.aclose()


async def test_nothing_secret_is_told(fake: GcsServer, bucket: str) -> None:
    """An error of the bucket names neither tokens nor addresses."""
    store = GCSStore(bucket + "-missing", fake.account, url=fake.url, patience=QUICK)
    with pytest.raises(StoreError) as told:
        await store.upload(PATH, b"1", "image/png", if_version=ABSENT)
    assert "http" not in str(told.value)
    assert json.loads(fake.account)["private_key"][40:80] not in str(told.value)
    await store.aclose()


def resident() -> int:
    """Return the bytes of memory that this process has now, obstore's included."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("size", [64 * MIB, pytest.param(1024 * MIB, marks=pytest.mark.long)], ids=str)
async def test_memory_is_bounded(store: GCSStore, size: int) -> None:
    """An object of any length goes up and down through less than 64 MiB of memory."""
    await store.upload(PATH, pieces(20), "video/mp4")
    before, peak, count = resident(), 0, 0

    async def watched() -> AsyncIterator[bytes]:
        nonlocal peak
        async for piece in pieces(size // MIB):
            peak = max(peak, resident())
            yield piece

    await store.upload(PATH, watched(), "video/mp4")
    async for chunk in store.stream(PATH):
        count += len(chunk)
        peak = max(peak, resident())
    await store.delete(PATH)
    assert (count, peak - before < 64 * MIB) == (size, True)


async def test_what_a_browser_could_run_is_an_attachment(store: GCSStore) -> None:
    """Objects say so themselves, in one piece or in many, whoever reads them; pictures are shown."""
    await check_dispositions(store, pieces)
