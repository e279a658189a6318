from __future__ import annotations

import asyncio
import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.objectfile import Draft, file_name
from media_pipeline.storage.store import ABSENT, StoreError, StoreFull, UploadRefused

URL = "http://media.test"
PATH = "media/1/images/a_0.png"


def drafts(folder: Path) -> list[Path]:
    return list((folder / "drafts").iterdir())


async def reopened(store: LocalStore, folder: Path) -> LocalStore:
    await store.aclose()
    return LocalStore(folder, URL)


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold the draft's method `name` in its thread until the second event is set."""
    reached, go_on = threading.Event(), threading.Event()
    original = getattr(Draft, name)

    def hold(*args: object, **kwargs: object) -> object:
        reached.set()
        assert go_on.wait(10)
        return original(*args, **kwargs)

    monkeypatch.setattr(Draft, name, hold)
    yield reached, go_on
    go_on.set()


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    """Bytes, type, time and version survive closing and opening."""
    store = LocalStore(tmp_path, URL)
    for number in range(5):
        await store.upload(f"media/1/ü {number}", bytes([number]) * number, f"image/{number}")
    await store.delete("media/1/ü 4")
    before = await store.list("")
    store = await reopened(store, tmp_path)
    assert await store.list("") == before
    assert await store.read("media/1/ü 3", version=before[3].version) == b"\x03\x03\x03"
    await store.aclose()


async def test_leftovers_of_a_crash_are_removed_at_open(tmp_path: Path) -> None:
    """Half-written drafts vanish, and what is not an object is not listed."""
    store = LocalStore(tmp_path, URL)
    await store.upload(PATH, b"whole", "image/png")
    (tmp_path / "drafts" / "left").write_bytes(b'{"path": "half')
    (tmp_path / "objects" / file_name("media/1/torn")).write_bytes(b'{"path": "media/1/to')
    (tmp_path / "objects" / file_name("media/1/empty")).write_bytes(b"")
    stray = (tmp_path / "objects" / file_name(PATH)).read_bytes().replace(PATH.encode(), b"media/1/other")
    (tmp_path / "objects" / file_name("media/1/copy")).write_bytes(stray)
    (tmp_path / "objects" / "README").write_text("hello")
    store = await reopened(store, tmp_path)
    assert [item.path for item in await store.list("")] == [PATH]
    assert drafts(tmp_path) == []
    await store.aclose()


async def test_a_folder_belongs_to_one_process(tmp_path: Path) -> None:
    """A second store on the same folder is refused until the first is closed."""
    store = LocalStore(tmp_path, URL)
    with pytest.raises(StoreError, match="one process"):
        LocalStore(tmp_path, URL)
    store = await reopened(store, tmp_path)
    await store.aclose()
    await store.aclose()


async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Opening says which folder it could not use."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        LocalStore(tmp_path / "file", URL)


async def test_a_cancellation_past_the_commit_is_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload cancelled while its rename runs still succeeds, so nobody believes it failed."""
    store = LocalStore(tmp_path, URL)
    with held(monkeypatch, "publish") as (reached, go_on):
        task = asyncio.create_task(store.upload(PATH, b"whole", "image/png"))
        assert await asyncio.to_thread(reached.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        assert await task == await store.get_url(PATH)
    assert await store.read(PATH) == b"whole"
    await store.aclose()


@pytest.mark.parametrize("step", ["open", "write", "seal"])
async def test_a_cancellation_before_the_commit_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """An upload cancelled in any earlier step leaves neither object nor draft."""
    store = LocalStore(tmp_path, URL)
    with held(monkeypatch, step) as (reached, go_on):
        task = asyncio.create_task(store.upload(PATH, b"whole", "image/png"))
        assert await asyncio.to_thread(reached.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await store.list("") == []
    assert drafts(tmp_path) == []
    await store.aclose()


@pytest.mark.parametrize("step", ["write", "seal", "publish"])
async def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A disk that is full at any step is StoreFull, and neither object nor draft stays."""
    store = LocalStore(tmp_path, URL)

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Draft, step, refuse)
    with pytest.raises(StoreFull):
        await store.upload(PATH, b"whole", "image/png")
    assert await store.list("") == []
    assert drafts(tmp_path) == []
    await store.aclose()


async def test_what_is_acknowledged_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write syncs its bytes, then publishes, then syncs the folder; a delete syncs the folder."""
    store = LocalStore(tmp_path, URL)
    steps: list[str] = []
    fsync, publish = os.fsync, Draft.publish

    def noted_fsync(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def noted_publish(draft: Draft, target: Path) -> None:
        steps.append("publish")
        publish(draft, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Draft, "publish", noted_publish)
    await store.upload(PATH, b"whole", "image/png")
    await store.delete(PATH)
    assert steps == ["file", "publish", "folder", "folder"]
    await store.aclose()


async def test_create_only_holds_against_the_disk_itself(tmp_path: Path) -> None:
    """Even an object that the index does not know is not overwritten by create-only."""
    store = LocalStore(tmp_path, URL)
    await store.upload(PATH, b"first", "image/png")
    store._catalog.drop(PATH)
    with pytest.raises(StoreError):
        await store.upload(PATH, b"second", "image/png", if_version=ABSENT)
    assert await store.read(PATH) == b"first"
    assert drafts(tmp_path) == []
    await store.aclose()


WRITER = """
import asyncio, sys
from pathlib import Path
from media_pipeline.storage.local import LocalStore

async def half():
    yield b"h" * 1_000_000
    print("half", flush=True)
    await asyncio.Event().wait()

async def main():
    store = LocalStore(Path(sys.argv[1]), "http://media.test")
    await store.upload("media/1/kept", b"old", "image/png")
    await asyncio.gather(
        store.upload("media/1/new", half(), "image/png"), store.upload("media/1/kept", half(), "image/png")
    )

asyncio.run(main())
"""

CHURNER = """
import asyncio, sys
from pathlib import Path
from media_pipeline.storage.local import LocalStore

async def main():
    store = LocalStore(Path(sys.argv[1]), "http://media.test")
    number = 0
    while True:
        number += 1
        body = str(number).encode().rjust(8) * 20_000
        await asyncio.gather(*(store.upload(f"media/1/{slot}", body, "image/png") for slot in range(4)))
        print(number, flush=True)

asyncio.run(main())
"""


def killed_after(script: str, folder: Path, lines: int) -> list[str]:
    """Run `script` until it has said `lines` lines, kill it, and return all that it said."""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        return said + child.stdout.readlines()


async def test_a_writer_killed_in_the_middle_leaves_no_half_object(tmp_path: Path) -> None:
    """After SIGKILL the old object is whole, the new one absent and no draft is left."""
    assert killed_after(WRITER, tmp_path, 2) == ["half\n", "half\n"]
    assert len(drafts(tmp_path)) == 2
    store = LocalStore(tmp_path, URL)
    assert [item.path for item in await store.list("")] == ["media/1/kept"]
    assert await store.read("media/1/kept") == b"old"
    assert drafts(tmp_path) == []
    await store.aclose()


@pytest.mark.parametrize("lines", [1, 7, 23])
async def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(
    tmp_path: Path, lines: int
) -> None:
    """Every object is one whole write, and not older than the last one that was acknowledged."""
    acknowledged = int(killed_after(CHURNER, tmp_path, lines)[-1])
    store = LocalStore(tmp_path, URL)
    for slot in range(4):
        body = await store.read(f"media/1/{slot}")
        assert body == body[:8] * 20_000
        assert acknowledged <= int(body[:8]) <= acknowledged + 1
    await store.aclose()


async def test_a_type_too_long_to_be_kept_is_refused(tmp_path: Path) -> None:
    """The longest path with a long type is kept; a type that could not be read back is UploadRefused."""
    store = LocalStore(tmp_path, URL)
    longest = "é" * 512
    await store.upload(longest, b"x", "t/" + "y" * 8000)
    with pytest.raises(UploadRefused):
        await store.upload(PATH, b"x", "t/" + "y" * 20_000)
    store = await reopened(store, tmp_path)
    assert [item.path for item in await store.list("")] == [longest]
    await store.aclose()


async def test_an_overwritten_object_is_read_to_its_end(tmp_path: Path) -> None:
    """A stream that is open when its object is deleted goes on to the end."""
    store = LocalStore(tmp_path, URL)
    body = bytes(range(256)) * 4096

    async def read_slowly() -> AsyncIterator[bytes]:
        async for chunk in store.stream(PATH):
            yield chunk
            await store.delete(PATH)

    await store.upload(PATH, body, "image/png")
    assert b"".join([chunk async for chunk in read_slowly()]) == body
    await store.aclose()
