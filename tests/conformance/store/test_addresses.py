"""URLs: where an object is read, and where a client may write one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from media_pipeline.storage.store import Store

PATH = "media/1/images/ä b.png"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


async def test_a_url_is_complete_and_stable(store: Store) -> None:
    """The URL has scheme and host, names the path once encoded, and does not change with the object."""
    before = await store.get_url(PATH)
    assert await store.upload(PATH, b"1", "image/png") == before
    assert await store.upload(PATH, b"2", "image/png") == before
    await store.delete(PATH)
    assert await store.get_url(PATH) == before
    parts = urlsplit(before)
    assert parts.scheme in {"http", "https"}
    assert parts.netloc
    assert parts.path.endswith("media/1/images/%C3%A4%20b.png")


async def test_signing_is_deterministic(store: Store) -> None:
    """The same arguments and the same instant give the same URL; other arguments another."""
    signed = [
        await store.upload_presigned(PATH, "image/png", now=NOW),
        await store.upload_presigned(PATH, "image/png", now=NOW),
        await store.upload_presigned(PATH, "image/jpeg", now=NOW),
        await store.upload_presigned(PATH, "image/png", size=5, now=NOW),
        await store.upload_presigned(PATH, "image/png", size=6, now=NOW),
        await store.upload_presigned(PATH + "x", "image/png", now=NOW),
        await store.upload_presigned(PATH, "image/png", now=NOW + timedelta(seconds=1)),
        await store.upload_presigned(PATH, "image/png", now=NOW, expires_in=timedelta(seconds=1)),
    ]
    assert signed[0] == signed[1]
    assert len({permission.url for permission in signed}) == len(signed) - 1


@pytest.mark.parametrize("content_type", ["image/png", "video/webm;codecs=vp8", "text/plain; charset=utf-8"])
async def test_the_client_must_send_the_signed_type(store: Store, content_type: str) -> None:
    """The headers name the content type exactly as it was given."""
    permission = await store.upload_presigned(PATH, content_type, now=NOW)
    assert permission.headers == {"Content-Type": content_type}


async def test_an_empty_type_asks_for_no_header(store: Store) -> None:
    """A browser that knows no type sends none, and nothing is asked of it."""
    assert (await store.upload_presigned(PATH, "", now=NOW)).headers == {}


async def test_a_permission_says_when_it_ends(store: Store) -> None:
    """The end is the instant of signing plus the time given, in UTC."""
    permission = await store.upload_presigned(PATH, "image/png", now=NOW, expires_in=timedelta(minutes=3))
    assert permission.expires_at == NOW + timedelta(minutes=3)
    usual = await store.upload_presigned(PATH, "image/png", now=NOW)
    assert usual.expires_at == NOW + timedelta(minutes=15)


async def test_signing_writes_nothing(store: Store) -> None:
    """A permission alone makes no object."""
    await store.upload_presigned(PATH, "image/png", size=3)
    assert await store.list("") == []
