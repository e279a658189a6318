"""Preconditions, races, and writes that do not come to their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from media_pipeline.storage.store import ABSENT, PreconditionFailed, Store, Version

from .engines import stream_of

PATH = "media/1/images/a_0.png"


class _SourceBroke(Exception):
    pass


async def _breaking_source() -> AsyncIterator[bytes]:
    yield b"x" * 100_000
    raise _SourceBroke


async def _write(store: Store, data: bytes, *, if_version: Version | None = None) -> Version:
    return await store.write(PATH, data, "image/png", if_version=if_version)


async def test_the_same_bytes_again_are_another_version(store: Store) -> None:
    """A write over a version is refused after a later write of the same bytes, in one piece or in many."""
    await store.upload(PATH, b"1", "image/png")
    seen = (await store.stat(PATH)).version
    await store.upload(PATH, b"1", "image/png")
    later = (await store.stat(PATH)).version
    for data in (b"2", stream_of([b"2" * 1024**2] * 9)):
        with pytest.raises(PreconditionFailed):
            await store.upload(PATH, data, "image/png", if_version=seen)
    assert (await store.stat(PATH)).version == later


async def test_every_write_has_a_version_of_its_own(store: Store) -> None:
    """The same bytes written again, also after a delete, are another version."""
    versions = [await _write(store, b"same"), await _write(store, b"same")]
    await store.delete(PATH)
    versions.append(await _write(store, b"same"))
    assert len({ABSENT, *versions}) == 4


async def test_a_write_tells_its_version(store: Store) -> None:
    """What a write returns is the version that stands there then, in one piece or in many."""
    for data in (b"one", stream_of([b"1" * 1024**2] * 9)):
        assert await store.write(PATH, data, "image/png") == (await store.stat(PATH)).version


async def test_create_only_never_overwrites(store: Store) -> None:
    """ABSENT writes where nothing stands and is refused where something does."""
    await _write(store, b"first", if_version=ABSENT)
    with pytest.raises(PreconditionFailed):
        await _write(store, b"second", if_version=ABSENT)
    assert await store.read(PATH) == b"first"
    await store.delete(PATH)
    await _write(store, b"third", if_version=ABSENT)


async def test_a_version_replaces_exactly_that_one(store: Store) -> None:
    """A write over the version that was seen lands; over one that is gone it is refused."""
    first = await _write(store, b"1")
    second = await _write(store, b"2", if_version=first)
    with pytest.raises(PreconditionFailed):
        await _write(store, b"3", if_version=first)
    assert await store.read(PATH, version=second) == b"2"
    await store.delete(PATH)
    with pytest.raises(PreconditionFailed):
        await _write(store, b"4", if_version=second)
    assert await store.list("") == []


async def test_a_delete_of_another_version_is_refused(store: Store) -> None:
    """A delete that names a version removes that one only; where nothing stands it is no error."""
    first = await _write(store, b"1")
    second = await _write(store, b"2")
    with pytest.raises(PreconditionFailed):
        await store.delete(PATH, if_version=first)
    assert await store.read(PATH) == b"2"
    await store.delete(PATH, if_version=second)
    await store.delete(PATH, if_version=second)
    assert await store.list("") == []


async def test_of_many_creators_one_wins(store: Store) -> None:
    """Of concurrent create-only writes exactly one lands, whole."""
    results = await asyncio.gather(
        *(_write(store, bytes([number]) * 70_000, if_version=ABSENT) for number in range(8)),
        return_exceptions=True,
    )
    lost = [result for result in results if isinstance(result, PreconditionFailed)]
    assert len(lost) == 7
    body = await store.read(PATH)
    assert body == body[:1] * 70_000


async def test_of_many_replacers_one_wins(store: Store) -> None:
    """Of concurrent writes over one version exactly one lands; the others change nothing."""
    seen = await _write(store, b"seen")
    sources = [stream_of([bytes([number])] * 50) for number in range(8)]
    results = await asyncio.gather(
        *(store.upload(PATH, source, "image/png", if_version=seen) for source in sources),
        return_exceptions=True,
    )
    winners = [number for number, result in enumerate(results) if isinstance(result, str)]
    assert len(winners) == 1
    assert await store.read(PATH) == bytes(winners) * 50


async def test_a_counter_kept_by_versions_loses_no_step(store: Store) -> None:
    """Concurrent read-add-write loops that retry on PreconditionFailed count every step."""
    await _write(store, b"0")

    async def add_one() -> None:
        while True:
            seen = await store.stat(PATH)
            try:
                count = int(await store.read(PATH, version=seen.version))
                await store.upload(PATH, str(count + 1).encode(), "text/plain", if_version=seen.version)
            except PreconditionFailed:
                continue
            return

    await asyncio.gather(*(add_one() for _ in range(6)))
    assert await store.read(PATH) == b"6"


async def test_a_reader_never_sees_two_versions_mixed(store: Store) -> None:
    """A stream that began before an overwrite ends with the bytes it began with, or is refused."""
    old, new = b"o" * 1_000_000, b"n" * 1_000_000
    await _write(store, old)
    chunks = store.stream(PATH)
    seen = await anext(chunks)
    await _write(store, new)
    try:
        seen += b"".join([chunk async for chunk in chunks])
    except PreconditionFailed:
        return
    assert seen == old


async def test_a_source_that_breaks_leaves_nothing(store: Store) -> None:
    """An upload whose source raises passes the error on and leaves no object."""
    with pytest.raises(_SourceBroke):
        await store.upload(PATH, _breaking_source(), "image/png")
    assert await store.list("") == []


async def test_a_source_that_breaks_leaves_the_old_object(store: Store) -> None:
    """A broken overwrite changes neither bytes nor version."""
    seen = await _write(store, b"old")
    with pytest.raises(_SourceBroke):
        await store.upload(PATH, _breaking_source(), "image/png")
    assert await store.read(PATH, version=seen) == b"old"


async def test_a_cancelled_upload_leaves_nothing(store: Store) -> None:
    """An upload cancelled while its source is still speaking leaves no object, and the path is free."""
    waiting = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 300_000
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.upload(PATH, endless(), "image/png"))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.list("") == []
    await _write(store, b"free", if_version=ABSENT)


async def test_a_cancellation_at_any_moment_leaves_all_or_nothing(store: Store) -> None:
    """Wherever a cancellation falls, the object is whole or absent, and a success means it is there."""
    for turns in range(30):
        path = f"media/1/cancelled/{turns}"
        task = asyncio.create_task(store.upload(path, b"y" * 100_000, "image/png"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        there = [item.size for item in await store.list(path)]
        assert there in ([], [100_000])
        assert there or isinstance(result, asyncio.CancelledError)
