"""What the store in an S3-compatible bucket does beyond the promises of every store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from media_pipeline.storage.patience import Patience
from media_pipeline.storage.s3 import S3Store
from media_pipeline.storage.sigv4 import AwsKey
from media_pipeline.storage.store import ABSENT, PreconditionFailed, StoreError
from tests.servers.s3 import new_bucket, shared_s3

from .dispositions import check_dispositions

MIB = 1024**2
PATH = "media/1/films/ä b.mp4"
QUICK = Patience(tries=3, pause=0.001)


@pytest.fixture
async def store() -> AsyncIterator[S3Store]:
    url = shared_s3()
    opened = S3Store(new_bucket(url), AwsKey("testing", "testing", "token"), url=url)
    yield opened
    await opened.aclose()


async def pieces(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number]) * MIB


async def test_a_long_stream_is_one_object(store: S3Store) -> None:
    """A stream longer than a piece goes in parts, under its type, and only over what was seen."""
    await store.upload(PATH, pieces(20), "video/mp4", if_version=ABSENT)
    item = await store.stat(PATH)
    assert (item.size, item.content_type) == (20 * MIB, "video/mp4")
    with pytest.raises(PreconditionFailed):
        await store.upload(PATH, pieces(18), "video/mp4", if_version=ABSENT)
    back = b"".join([chunk async for chunk in store.stream(PATH, version=item.version)])
    assert back == b"".join([piece async for piece in pieces(20)])


async def test_a_long_source_that_breaks_leaves_nothing(store: S3Store) -> None:
    """Parts of an upload that broke off are removed, and no object appears."""

    async def breaking() -> AsyncIterator[bytes]:
        async for piece in pieces(17):
            yield piece
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.upload(PATH, breaking(), "video/mp4")
    assert await store.list("") == []


async def test_a_signed_put_is_taken_once(store: S3Store) -> None:
    """With a size the URL creates only, and the length is among what is signed."""
    permission = await store.upload_presigned(PATH, "image/png", size=3)
    assert "content-length%3Bcontent-type%3Bhost%3Bif-none-match" in permission.url
    with httpx2.Client() as web:
        answers = [
            web.put(permission.url, content=b"123", headers=dict(permission.headers)) for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [200, 412]
    assert (await store.stat(PATH)).content_type == "image/png"


async def test_a_signed_read_opens_the_object(store: S3Store) -> None:
    """A signed URL reads the object and is the same for the same instant."""
    await store.upload(PATH, b"film", "video/mp4")
    now = datetime.now(UTC)
    url = await store.sign_read(PATH, expires_in=timedelta(hours=1), now=now, disposition="attachment")
    assert url == await store.sign_read(
        PATH, expires_in=timedelta(hours=1), now=now, disposition="attachment"
    )
    with httpx2.Client() as web:
        answer = web.get(url)
    assert (answer.content, answer.headers["content-disposition"]) == (b"film", "attachment")


async def test_a_listing_reads_odd_names(store: S3Store) -> None:
    """Names that XML must escape are listed as they are, with their types."""
    for number in range(3):
        await store.upload(f"m/{number} & <b>", b"1", "image/png")
    listed = await store.list("m/")
    assert [(item.path, item.content_type) for item in listed] == [
        (f"m/{number} & <b>", "image/png") for number in range(3)
    ]


async def test_a_bucket_that_is_not_there_is_told() -> None:
    """A wrong bucket is an error of the store, without an address in it."""
    store = S3Store("no-such-bucket", AwsKey("testing", "testing"), url=shared_s3())
    with pytest.raises(StoreError) as told:
        await store.list("")
    assert "http" not in str(told.value)
    await store.aclose()


async def test_what_a_browser_could_run_is_an_attachment(store: S3Store) -> None:
    """Objects say so themselves, in one piece or in many, whoever reads them; pictures are shown."""
    await check_dispositions(store, pieces)


async def test_a_bucket_under_kms_is_usable() -> None:
    """Entity tags that look like an MD5 and are none, as under a key of KMS, are not taken for damage."""
    url = shared_s3()
    store = S3Store(new_bucket(url, under_kms=True), AwsKey("testing", "testing"), url=url, patience=QUICK)
    await store.upload(PATH, b"film", "video/mp4", if_version=ABSENT)
    item = await store.stat(PATH)
    assert await store.read(PATH) == b"film"
    assert [chunk async for chunk in store.stream(PATH, version=item.version)] == [b"film"]
    await store.upload(PATH, b"another", "video/mp4", if_version=item.version)
    assert await store.read(PATH) == b"another"
    await store.aclose()


async def test_a_part_that_was_changed_on_its_way_is_refused(store: S3Store) -> None:
    """A part carries its MD5, so that the bucket refuses other bytes, and nothing appears."""
    with pytest.raises(StoreError, match="BadDigest"):
        await store.upload("m/spoiled.mp4", pieces(20), "video/mp4")
    assert await store.list("") == []
