from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.store import StoreFull

URL = "http://media.test"


async def stream_of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_the_last_byte_fits_and_one_more_does_not() -> None:
    """The store holds exactly its limit; a write beyond it is StoreFull and changes nothing."""
    store = MemoryStore(URL, max_bytes=10)
    await store.upload("a", b"x" * 10, "text/plain")
    with pytest.raises(StoreFull):
        await store.upload("b", b"x", "text/plain")
    assert [item.path for item in await store.list("")] == ["a"]


async def test_what_is_replaced_makes_room() -> None:
    """An overwrite of a full store fits where the new object does."""
    store = MemoryStore(URL, max_bytes=10)
    await store.upload("a", b"x" * 10, "text/plain")
    await store.upload("a", b"y" * 10, "text/plain")
    assert await store.read("a") == b"y" * 10
    with pytest.raises(StoreFull):
        await store.upload("a", b"z" * 11, "text/plain")
    assert await store.read("a") == b"y" * 10


async def test_deleted_and_refused_bytes_are_given_back() -> None:
    """A delete, a full store and a broken source all free what they held."""
    store = MemoryStore(URL, max_bytes=10)

    async def breaking() -> AsyncIterator[bytes]:
        yield b"x" * 9
        raise OSError

    for _ in range(3):
        with pytest.raises(StoreFull):
            await store.upload("a", stream_of(b"x" * 9, b"x" * 9), "text/plain")
        with pytest.raises(OSError):  # noqa: PT011 - the source's own error, passed on
            await store.upload("a", breaking(), "text/plain")
        await store.upload("a", b"x" * 10, "text/plain")
        await store.delete("a")
    assert store._budget.used == 0


async def test_uploads_in_flight_are_counted() -> None:
    """Bytes that have arrived but are not visible yet take room too."""
    store = MemoryStore(URL, max_bytes=10)
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 8
        arrived.set()
        await go_on.wait()

    task = asyncio.create_task(store.upload("a", slow(), "text/plain"))
    await arrived.wait()
    with pytest.raises(StoreFull):
        await store.upload("b", b"x" * 3, "text/plain")
    go_on.set()
    await task
    assert (await store.stat("a")).size == 8
