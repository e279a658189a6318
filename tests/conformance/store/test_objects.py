"""Writing, reading, listing and forgetting objects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from media_pipeline.storage.store import InvalidPath, ObjectNotFound, PreconditionFailed, Store, Version

from .engines import joined, stream_of

PATH = "media/1/images/a_0.png"
TEN = b"0123456789"

ODD_PATHS = [
    "media/1/j/naïve café.png",
    "media/1/j/Ünïcødé 图像 🎨.png",
    "media/1/j/a b%20c+d?e#f&g=h.png",
    "media/1/j/" + "quote'\"<>|*:~.png",
    "media/1/j/" + "x" * 255,
    "media/=40/" + "y" * (1024 - len("media/=40/")),
    "media/1/j/-rf",
    "media/1/j/.hidden",
    "media/1/j/..twodots",
    "media/1/j/CON",
    "a",
]

BAD_PATHS = [
    "",
    "/media/1/a",
    "media/1/a/",
    "media//a",
    "media/./a",
    "media/../a",
    "..",
    "media\\1\\a",
    "media/1/a\n",
    "media/1/\x00",
    "media/1/\x7f",
    "media/1/\x85",
    "media/1/\ud800",
    "x" * 1025,
    "é" * 513,
]


async def test_an_upload_is_read_back_whole(store: Store) -> None:
    """What was uploaded is what is read, byte for byte."""
    await store.upload(PATH, TEN, "image/png")
    assert await store.read(PATH) == TEN
    assert await joined(store.stream(PATH)) == TEN


async def test_an_empty_object_is_an_object(store: Store) -> None:
    """An object of no bytes is stored, described and read like any other."""
    await store.upload(PATH, b"", "text/plain")
    assert (await store.stat(PATH)).size == 0
    assert await store.read(PATH) == b""
    assert await joined(store.stream(PATH)) == b""


async def test_stat_describes_what_was_written(store: Store) -> None:
    """Path, size, type and time in UTC are those of the write."""
    before = datetime.now(UTC) - timedelta(seconds=5)
    await store.upload(PATH, TEN, "image/png; a=b")
    item = await store.stat(PATH)
    assert (item.path, item.size, item.content_type) == (PATH, 10, "image/png; a=b")
    assert before < item.created_at < datetime.now(UTC) + timedelta(seconds=5)
    assert item.created_at.utcoffset() == timedelta(0)


async def test_a_missing_object_is_not_found(store: Store) -> None:
    """Reading or describing what is not there raises ObjectNotFound."""
    with pytest.raises(ObjectNotFound):
        await store.stat(PATH)
    with pytest.raises(ObjectNotFound):
        await store.read(PATH)
    with pytest.raises(ObjectNotFound):
        await joined(store.stream(PATH))


async def test_an_upload_overwrites(store: Store) -> None:
    """Without a precondition the newest write is what is read, bytes and type."""
    await store.upload(PATH, TEN, "image/png")
    await store.upload(PATH, b"new", "image/webp")
    assert await store.read(PATH) == b"new"
    assert (await store.stat(PATH)).content_type == "image/webp"
    assert len(await store.list("")) == 1


async def test_a_deleted_object_is_gone(store: Store) -> None:
    """After a delete nothing is read or listed, and a second delete is no error."""
    await store.upload(PATH, TEN, "image/png")
    await store.delete(PATH)
    await store.delete(PATH)
    assert await store.list("") == []
    with pytest.raises(ObjectNotFound):
        await store.read(PATH)


async def test_a_stream_of_many_chunks_is_one_object(store: Store) -> None:
    """Chunks of any size, empty ones too, become one object that streams back in bounded chunks."""
    chunks = [bytes([number % 256]) * (number * 977 % 4099) for number in range(700)]
    await store.upload(PATH, stream_of(chunks), "video/mp4")
    back = [chunk async for chunk in store.stream(PATH)]
    assert b"".join(back) == b"".join(chunks)
    assert 0 < max(map(len, back)) <= 1024 * 1024


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, TEN),
        (0, 10, TEN),
        (0, 1, b"0"),
        (3, 7, b"3456"),
        (9, None, b"9"),
        (9, 100, b"9"),
        (10, None, b""),
        (11, 20, b""),
        (5, 5, b""),
        (7, 3, b""),
        (0, 0, b""),
    ],
)
async def test_a_range_returns_what_there_is(
    store: Store, start: int, end: int | None, expected: bytes
) -> None:
    """Start is included, end is not, and past the end there is nothing."""
    await store.upload(PATH, TEN, "image/png")
    assert await store.read(PATH, start=start, end=end) == expected
    assert await joined(store.stream(PATH, start=start, end=end)) == expected


async def test_a_range_of_another_version_is_refused(store: Store) -> None:
    """A reader that names a version never gets bytes of another."""
    await store.upload(PATH, TEN, "image/png")
    seen = (await store.stat(PATH)).version
    assert await store.read(PATH, start=2, end=4, version=seen) == b"23"
    await store.upload(PATH, b"another one", "image/png")
    with pytest.raises(PreconditionFailed):
        await store.read(PATH, version=seen)
    with pytest.raises(PreconditionFailed):
        await joined(store.stream(PATH, version=Version("never")))


async def test_a_list_is_ordered_by_path_and_cut_by_prefix(store: Store) -> None:
    """A listing holds exactly the objects under its prefix, by path."""
    paths = ["media/1/b", "media/1/a", "media/10/a", "media/1", "derived/1/a", "media/1/a/b"]
    for path in paths:
        await store.upload(path, path.encode(), "text/plain")
    assert [item.path for item in await store.list("")] == sorted(paths)
    assert [item.path for item in await store.list("media/1/")] == ["media/1/a", "media/1/a/b", "media/1/b"]
    assert [item.path for item in await store.list("media/10/")] == ["media/10/a"]
    assert len(await store.list("media/1")) == 5
    assert await store.list("media/2") == []
    for prefix in ("", "media/1/", "media/2"):
        assert [item async for item in store.walk(prefix)] == await store.list(prefix)
    assert await store.list("media/1/a") == [await store.stat("media/1/a"), await store.stat("media/1/a/b")]


@pytest.mark.parametrize("path", ODD_PATHS)
async def test_any_allowed_name_is_kept_apart(store: Store, path: str) -> None:
    """Long, spaced, reserved, percent and Unicode names are stored as they are."""
    await store.upload(path, path.encode(), "image/png")
    assert [item.path for item in await store.list("")] == [path]
    assert await store.read(path) == path.encode()
    assert await store.get_url(path)


async def test_names_that_differ_in_case_or_form_are_different(store: Store) -> None:
    """Upper and lower case, composed and decomposed letters name different objects."""
    paths = ["m/A.png", "m/a.png", "m/\u00e9", "m/e\u0301", "m/%41.png"]
    for path in paths:
        await store.upload(path, path.encode(), "image/png")
    assert [await store.read(path) for path in paths] == [path.encode() for path in paths]
    assert len({await store.get_url(path) for path in paths}) == len(paths)


@pytest.mark.parametrize("path", BAD_PATHS)
async def test_a_path_that_could_escape_is_refused(store: Store, path: str) -> None:
    """Every operation refuses a path that is empty, absolute, too long or not plain."""
    with pytest.raises(InvalidPath):
        await store.upload(path, b"x", "image/png")
    with pytest.raises(InvalidPath):
        await store.upload_presigned(path, "image/png")
    with pytest.raises(InvalidPath):
        await store.get_url(path)
    with pytest.raises(InvalidPath):
        await store.delete(path)
    with pytest.raises(InvalidPath):
        await store.stat(path)
    with pytest.raises(InvalidPath):
        await store.read(path)
    with pytest.raises(InvalidPath):
        await joined(store.stream(path))
    assert await store.list("") == []
