"""The fake of Google Cloud Storage: Google's own client passes, and a request that breaks a rule does not."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import google_crc32c
import httpx2
import pytest
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.cloud import storage
from google.cloud.storage import Blob, Bucket
from google.oauth2 import service_account

from .gcs_server import GcsServer, shared_gcs

RANGE = "x-goog-content-length-range"
CREATE = "x-goog-if-generation-match"
ORIGIN = "https://studio.example.com"
CHUNK = 256 * 1024
WEB = httpx2.Client()


@pytest.fixture(scope="module")
def fake() -> Iterator[GcsServer]:
    yield shared_gcs()
    WEB.close()


@pytest.fixture(autouse=True)
def no_look_ups_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's client asks a fixed host of Google's about locations, which no test can answer."""
    monkeypatch.setattr(
        service_account.Credentials, "_is_regional_access_boundary_lookup_required", lambda self: False
    )


@pytest.fixture
def bucket(fake: GcsServer) -> Bucket:
    """A bucket of its own, by Google's client."""
    credentials = service_account.Credentials.from_service_account_info(json.loads(fake.account))
    client = storage.Client("p", credentials, client_options={"api_endpoint": fake.url})
    return client.bucket(fake.new_bucket())


def signed(blob: Blob, fake: GcsServer, **options: Any) -> str:
    usual = {"version": "v4", "method": "PUT", "expiration": timedelta(minutes=5)}
    url = blob.generate_signed_url(**(usual | {"api_access_endpoint": fake.url} | options))
    assert isinstance(url, str)
    return url


def code_of(answer: httpx2.Response) -> str:
    return answer.text.partition("<Code>")[2].partition("</Code>")[0]


def crc_of(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def test_googles_client_stores_reads_lists_and_deletes(bucket: Bucket) -> None:
    """What Google's client writes, in one piece or in chunks, it reads, lists by page and deletes."""
    bucket.blob("a/1 é.txt").upload_from_string(b"hello", "text/plain")
    large = bucket.blob("a/2", chunk_size=CHUNK)
    large.upload_from_file(io.BytesIO(b"z" * (3 * CHUNK + 5)), content_type="video/mp4", checksum="crc32c")
    assert bucket.blob("a/1 é.txt").download_as_bytes(checksum="crc32c") == b"hello"
    assert bucket.blob("a/2").download_as_bytes(start=3, end=5) == b"zzz"
    pages = bucket.client.list_blobs(bucket, prefix="a/", page_size=1).pages
    assert [[blob.name for blob in page] for page in pages] == [["a/1 é.txt"], ["a/2"]]
    large.delete()
    with pytest.raises(NotFound):
        large.reload()


def test_a_generation_precondition_is_held(bucket: Bucket) -> None:
    """A write or a delete for another generation than the one that stands there is refused."""
    blob = bucket.blob("a")
    blob.upload_from_string(b"1", if_generation_match=0)
    first = blob.generation
    with pytest.raises(PreconditionFailed):
        bucket.blob("a").upload_from_string(b"2", if_generation_match=0)
    blob.upload_from_string(b"2", if_generation_match=first)
    with pytest.raises(PreconditionFailed):
        bucket.blob("a").delete(if_generation_match=first)
    with pytest.raises(NotFound):
        bucket.blob("a", generation=first).download_as_bytes()
    assert bucket.blob("a").download_as_bytes() == b"2"


def test_a_signed_put_is_taken(bucket: Bucket, fake: GcsServer) -> None:
    """A PUT with exactly what Google's client signed is stored under the signed type."""
    headers = {RANGE: "3,3", CREATE: "0"}
    url = signed(bucket.blob("ä b/c"), fake, content_type="image/png", headers=dict(headers))
    answer = WEB.put(url, content=b"123", headers={**headers, "content-type": "image/png"})
    assert answer.status_code == 200
    stored = bucket.get_blob("ä b/c")
    assert (stored.size, stored.content_type) == (3, "image/png")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"content-type": "image/jpeg"}, 403, "SignatureDoesNotMatch"),
        ({"content-type": None}, 400, "MalformedSecurityHeader"),
        ({RANGE: "3,4"}, 403, "SignatureDoesNotMatch"),
        ({RANGE: None}, 400, "MalformedSecurityHeader"),
        ({CREATE: None}, 400, "MalformedSecurityHeader"),
        ({"x-goog-meta-a": "1"}, 403, "SignatureDoesNotMatch"),
        ({"content": b"1234"}, 400, "EntityTooLarge"),
        ({"content": b"12"}, 400, "EntityTooSmall"),
        ({"content-md5": "AAAA"}, 400, "BadDigest"),
        ({"method": "GET"}, 403, "SignatureDoesNotMatch"),
        ({"url": ("/x?", "/y?")}, 403, "SignatureDoesNotMatch"),
        ({"url": ("Expires=300", "Expires=301")}, 403, "SignatureDoesNotMatch"),
        ({"url": ("Expires=300", "Expires=604801")}, 400, "AuthorizationQueryParametersError"),
        ({"url": ("RSA-SHA256", "RSA-SHA1")}, 400, "AuthorizationQueryParametersError"),
        ({"url": ("media%40", "other%40")}, 403, "InvalidSecurity"),
        ({"url": ("%2Fstorage", "%2Fcompute")}, 400, "AuthorizationQueryParametersError"),
        ({"url": ("auto", "us")}, 403, "SignatureDoesNotMatch"),
        ({"url": ("X-Goog-Signature=", "prefix=a&X-Goog-Signature=")}, 403, "SignatureDoesNotMatch"),
        ({"url": ("X-Goog-Date=", "X-Goog-Dat=")}, 400, "AuthorizationQueryParametersError"),
    ],
)
def test_a_changed_signed_put_is_refused(
    bucket: Bucket, fake: GcsServer, change: dict[str, Any], status: int, code: str
) -> None:
    """One change to a signed request makes it fail, for the reason that Google names."""
    headers: dict[str, Any] = {RANGE: "3,3", CREATE: "0"}
    url = signed(bucket.blob("x"), fake, content_type="image/png", headers=dict(headers))
    change = dict(change)
    url = url.replace(*change.pop("url", ("", "")))
    method, content = change.pop("method", "PUT"), change.pop("content", b"123")
    sent = {**headers, "content-type": "image/png", **change}
    answer = WEB.request(
        method, url, content=content, headers={name: value for name, value in sent.items() if value}
    )
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert bucket.get_blob("x") is None


def test_a_signed_url_has_its_time(bucket: Bucket, fake: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that has expired or comes from the future is refused."""
    codes = []
    for shift in (timedelta(minutes=-6), timedelta(minutes=30)):
        now = datetime.now(UTC) + shift
        stamps = (f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}")
        monkeypatch.setattr("google.cloud.storage._signing.get_v4_now_dtstamps", lambda stamps=stamps: stamps)
        codes.append(code_of(WEB.put(signed(bucket.blob("x"), fake), content=b"1")))
    assert codes == ["ExpiredToken", "RequestTimeTooSkewed"]


def test_a_second_signed_create_is_refused(bucket: Bucket, fake: GcsServer) -> None:
    """A create-only URL works once."""
    url = signed(bucket.blob("x"), fake, headers={CREATE: "0"})
    answers = [WEB.put(url, content=b"1", headers={CREATE: "0"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 412]
    assert code_of(answers[1]) == "PreconditionFailed"


def test_every_style_of_address_is_verified(bucket: Bucket, fake: GcsServer) -> None:
    """Virtual-hosted and bucket-bound hosts are served when signed for, and for that host alone."""
    blob = bucket.blob("a b")
    blob.upload_from_string(b"1")
    fake.control(hosts={"cdn.example.com": bucket.name})
    google = "https://storage.googleapis.com"
    virtual = signed(blob, fake, method="GET", virtual_hosted_style=True, api_access_endpoint=google)
    bound = signed(
        blob,
        fake,
        method="GET",
        bucket_bound_hostname="cdn.example.com",
        scheme="https",
        api_access_endpoint=None,
    )
    for url in (virtual, bound):
        parts = httpx2.URL(url)
        local = httpx2.URL(fake.url).copy_with(raw_path=parts.raw_path)
        assert WEB.get(local, headers={"Host": parts.host}).content == b"1"
        assert code_of(WEB.get(local, headers={"Host": f"{bucket.name}.other.example.com"})) == (
            "SignatureDoesNotMatch"
        )


def test_a_token_is_asked_for(bucket: Bucket, fake: GcsServer) -> None:
    """Without a token that the fake gave, neither API answers; a public bucket lets anybody read."""
    bucket.blob("a").upload_from_string(b"1")
    places = [f"{fake.url}/storage/v1/b/{bucket.name}/o/a", f"{fake.url}/{bucket.name}/a"]
    for place in places:
        assert WEB.get(place).status_code == 401
        assert WEB.get(place, headers={"Authorization": "Bearer made-up"}).status_code == 401
    fake.control(public=[bucket.name])
    assert WEB.get(places[1]).content == b"1"
    assert WEB.put(places[1], content=b"2").status_code == 401


def start(bucket: Bucket, fake: GcsServer, name: str = "film", **headers: str) -> httpx2.Response:
    headers = {"x-goog-resumable": "start", **headers}
    url = signed(bucket.blob(name), fake, method="POST", content_type="video/mp4", headers=dict(headers))
    return WEB.post(url, headers={**headers, "content-type": "video/mp4", "origin": ORIGIN})


def test_a_session_is_resumed_where_it_stands(bucket: Bucket, fake: GcsServer) -> None:
    """A signed start gives a session that takes chunks, says how far it is, and ends in an object."""
    data = bytes(range(256)) * 4096
    url = start(bucket, fake, **{CREATE: "0", RANGE: f"{len(data)},{len(data)}"}).headers["location"]
    size = len(data)

    def send(first: int, last: int, total: str) -> httpx2.Response:
        return WEB.put(
            url, content=data[first:last], headers={"content-range": f"bytes {first}-{last - 1}/{total}"}
        )

    def ask() -> httpx2.Response:
        return WEB.put(url, headers={"content-range": f"bytes */{size}"})

    assert ask().headers.get("range") is None
    assert send(0, CHUNK, str(size)).status_code == 308
    assert ask().headers["range"] == f"bytes=0-{CHUNK - 1}"
    assert send(CHUNK, CHUNK + 100, str(size)).status_code == 400  # not a multiple of 256 KiB
    assert send(2 * CHUNK, 3 * CHUNK, str(size)).status_code == 503  # past what is persisted
    assert send(0, 2 * CHUNK, str(size)).headers["range"] == f"bytes=0-{2 * CHUNK - 1}"  # said again: ignored
    assert send(2 * CHUNK, size, str(size)).status_code == 200
    assert ask().status_code == 200
    assert bucket.blob("film").download_as_bytes() == data


def test_one_plain_put_ends_a_session(bucket: Bucket, fake: GcsServer) -> None:
    """A session takes the whole in one PUT, with CORS for the origin that began it and for no other."""
    url = start(bucket, fake).headers["location"]
    preflight = WEB.options(
        url, headers={"origin": "https://elsewhere.example.com", "access-control-request-method": "PUT"}
    )
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    answer = WEB.put(url, content=b"film", headers={"origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert bucket.get_blob("film").content_type == "video/mp4"


def test_a_session_holds_to_its_start(bucket: Bucket, fake: GcsServer) -> None:
    """Length range and precondition of the start are held at the end; a wrong checksum and a cancel too."""
    assert code_of(start(bucket, fake, **{CREATE: "7"})) == "PreconditionFailed"
    short = start(bucket, fake, "a", **{RANGE: "5,5"}).headers["location"]
    assert code_of(WEB.put(short, content=b"1234")) == "EntityTooSmall"
    long = start(bucket, fake, "b", **{RANGE: "5,5"}).headers["location"]
    assert code_of(WEB.put(long, content=b"123456")) == "EntityTooLarge"
    late = start(bucket, fake, "c", **{CREATE: "0"}).headers["location"]
    bucket.blob("c").upload_from_string(b"first")
    assert code_of(WEB.put(late, content=b"second")) == "PreconditionFailed"
    wrong = start(bucket, fake, "d").headers["location"]
    digest = WEB.put(wrong, content=b"1", headers={"x-goog-hash": f"crc32c={crc_of(b'2')}"})
    assert code_of(digest) == "BadDigest"
    gone = start(bucket, fake, "e").headers["location"]
    assert [WEB.delete(gone).status_code, WEB.put(gone, content=b"1").status_code] == [499, 499]
    assert [blob.name for blob in bucket.list_blobs()] == ["c"]


def test_cors_is_what_the_bucket_says(bucket: Bucket, fake: GcsServer) -> None:
    """Signed URLs answer other origins only as the bucket's own CORS settings allow."""
    url = signed(bucket.blob("x"), fake, content_type="image/png")

    def preflight(origin: str, method: str, headers: str) -> str | None:
        asked = {"access-control-request-method": method, "access-control-request-headers": headers}
        return WEB.options(url, headers={"origin": origin, **asked}).headers.get(
            "access-control-allow-origin"
        )

    assert preflight(ORIGIN, "PUT", "content-type") is None
    bucket.reload()
    bucket.cors = [
        {"origin": [ORIGIN], "method": ["PUT"], "responseHeader": ["Content-Type"], "maxAgeSeconds": 60}
    ]
    bucket.patch()
    assert preflight(ORIGIN, "PUT", "content-type") == ORIGIN
    assert preflight("https://elsewhere.example.com", "PUT", "content-type") is None
    assert preflight(ORIGIN, "DELETE", "content-type") is None
    assert preflight(ORIGIN, "PUT", f"content-type,{RANGE}") is None


def test_reads_have_ranges_and_checksums(bucket: Bucket, fake: GcsServer) -> None:
    """A read names generation and checksums, gives the range asked for, and 416 where there is none."""
    bucket.blob("x").upload_from_string(b"0123456789")
    url = signed(bucket.blob("x"), fake, method="GET")
    whole = WEB.get(url)
    assert f"crc32c={crc_of(b'0123456789')}" in whole.headers["x-goog-hash"]
    assert whole.headers["x-goog-generation"] == str(bucket.get_blob("x").generation)
    part = WEB.get(url, headers={"range": "bytes=3-5"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"345", "bytes 3-5/10")
    assert WEB.get(url, headers={"range": "bytes=-2"}).content == b"89"
    assert WEB.get(url, headers={"range": "bytes=10-"}).status_code == 416


@pytest.mark.parametrize(
    ("kind", "seen", "stored"),
    [
        ("unavailable", 503, False),
        ("too_many", 429, False),
        ("reset", httpx2.TransportError, False),
        ("stall", httpx2.TransportError, False),
        ("cut", httpx2.TransportError, False),
        ("lost", httpx2.TransportError, True),
        ("corrupt", 200, True),
    ],
)
def test_faults_are_injected(fake: GcsServer, bucket: Bucket, kind: str, seen: Any, stored: bool) -> None:
    """A fault does what its name says to one PUT, and is in the log."""
    url = signed(bucket.blob("x"), fake)
    fake.inject({"kind": kind, "times": 1, "contains": bucket.name, "seconds": 0})
    try:
        outcome: object = WEB.put(url, content=b"x" * 100_000).status_code
    except httpx2.TransportError as error:
        outcome = type(error)
    assert outcome == seen or (isinstance(seen, type) and issubclass(outcome, seen))  # type: ignore[arg-type]
    entry = next(entry for entry in fake.log(bucket.name) if entry["method"] == "PUT")
    assert (entry["fault"], entry["done"]) == (kind, stored)
    assert (bucket.get_blob("x") is not None) == stored
    assert WEB.put(url, content=b"again").status_code == 200


def test_an_answer_breaks_off_or_is_corrupted(fake: GcsServer, bucket: Bucket) -> None:
    """A read is broken off half-way, or gives one other byte than its checksum says."""
    bucket.blob("x").upload_from_string(b"0" * 1000)
    url = signed(bucket.blob("x"), fake, method="GET")
    fake.inject({"kind": "broken", "times": 1, "contains": bucket.name})
    with pytest.raises(httpx2.TransportError):
        pytest.fail(f"{WEB.get(url)!r} {fake.log(bucket.name)}")
    fake.inject({"kind": "corrupt", "times": 1, "contains": bucket.name})
    answer = WEB.get(url)
    assert len(answer.content) == 1000
    assert crc_of(answer.content) not in answer.headers["x-goog-hash"]
    assert WEB.get(url).content == b"0" * 1000
