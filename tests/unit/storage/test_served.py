from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.served import ServedStore
from media_pipeline.storage.store import StoreFull
from media_pipeline.storage.tickets import Refusal, Ticket, TicketRefused

URL = "http://media.test"
PATH = "media/1/j/a.png"


async def signed_by(store: ServedStore, *, size: int | None = None) -> dict[str, str]:
    permission = await store.upload_presigned(PATH, "image/png", size=size)
    return dict(parse_qsl(urlsplit(permission.url).query))


def admitted(store: ServedStore, query: dict[str, str], *, length: int | None = None) -> Ticket:
    return store.admit(PATH, query, content_type="image/png", content_length=length)


async def test_a_given_secret_outlives_the_process(tmp_path: Path) -> None:
    """A ticket signed before a restart is good after it, when the secret is the same."""
    store = LocalStore(tmp_path, URL, secret=b"kept")
    query = await signed_by(store)
    await store.aclose()
    store = LocalStore(tmp_path, URL, secret=b"kept")
    assert admitted(store, query).path == PATH
    await store.aclose()


async def test_stores_without_a_secret_do_not_share_one() -> None:
    """Without a secret each store makes its own."""
    query = await signed_by(MemoryStore(URL))
    with pytest.raises(TicketRefused):
        admitted(MemoryStore(URL), query)


async def test_a_size_over_the_limit_is_not_signed() -> None:
    """The limit is told when permission is asked, not after the bytes were sent."""
    store = MemoryStore(URL, max_upload_bytes=10)
    await store.upload_presigned(PATH, "image/png", size=10)
    with pytest.raises(TicketRefused) as caught:
        await store.upload_presigned(PATH, "image/png", size=11)
    assert caught.value.reason is Refusal.TOO_LARGE


async def test_a_declared_length_that_does_not_fit_is_refused_early() -> None:
    """A full memory store says so before the body is read."""
    store = MemoryStore(URL, max_bytes=10)
    await store.upload("other", b"x" * 8, "image/png")
    query = await signed_by(store)
    assert admitted(store, query, length=2).path == PATH
    with pytest.raises(StoreFull):
        admitted(store, query, length=3)


async def test_every_chunk_is_counted_once_it_is_taken() -> None:
    """The callback hears the running total after each chunk, and the store what the ticket signed."""
    store = MemoryStore(URL)
    heard: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        yield b"123"
        yield b"45"

    async def on_bytes(loaded: int) -> None:
        heard.append(loaded)

    ticket = admitted(store, await signed_by(store, size=5))
    item = await store.receive(ticket, body(), on_bytes=on_bytes)
    assert heard == [3, 5]
    assert (item.size, item.content_type, item.path) == (5, "image/png", PATH)
