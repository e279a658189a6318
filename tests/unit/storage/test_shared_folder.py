"""A storage folder that several processes share."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from media_pipeline.storage import folder as folder_module
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.objectfile import Draft
from media_pipeline.storage.store import ABSENT, PreconditionFailed, StoreError, Version

URL = "http://media.test"
PATH = "media/1/images/a_0.png"

COUNTER = """
import asyncio, sys
from pathlib import Path
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.store import PreconditionFailed

async def main():
    store = LocalStore(Path(sys.argv[1]), "http://media.test", shared=True)
    for _ in range(int(sys.argv[2])):
        while True:
            seen = (await store.stat("count")).version
            try:
                number = int(await store.read("count", version=seen))
                await store.upload("count", str(number + 1).encode(), "text/plain", if_version=seen)
                break
            except PreconditionFailed:
                pass
    await store.aclose()

asyncio.run(main())
"""

HOLDER = """
import sys
from pathlib import Path
from media_pipeline.storage.folder import Folder
from media_pipeline.storage.objectfile import Draft

def stop(draft, target):
    print("changing", flush=True)
    sys.stdin.read()

Draft.publish = stop
folder = Folder(Path(sys.argv[1]), shared=True)
folder.open()
draft = folder.draft(sys.argv[2], "image/png")
folder.publish(draft, sys.argv[2], if_version=None)
"""


def shared(folder: Path) -> LocalStore:
    return LocalStore(folder, URL, shared=True)


@contextmanager
def stuck_in_a_change(folder: Path, path: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that stands still between the check of a change at `path` and the change."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "changing\n"
            yield process
        finally:
            process.kill()


async def test_conditional_writes_hold_between_processes(tmp_path: Path) -> None:
    """Four processes that each add 25 to one number by conditional writes make it 100."""
    store = shared(tmp_path)
    await store.upload("count", b"0", "text/plain", if_version=ABSENT)
    counters = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", COUNTER, str(tmp_path), "25")
        for _ in range(4)
    ]
    assert [await counter.wait() for counter in counters] == [0] * 4
    assert await store.read("count") == b"100"
    await store.aclose()


async def test_what_one_process_writes_every_other_sees(tmp_path: Path) -> None:
    """Writes, overwrites and removals are in each other's listings, descriptions and preconditions."""
    one, two = shared(tmp_path), shared(tmp_path)
    await one.upload(PATH, b"first", "image/png")
    seen = await two.stat(PATH)
    await two.upload(PATH, b"second", "image/jpeg", if_version=seen.version)
    with pytest.raises(PreconditionFailed):
        await one.upload(PATH, b"late", "image/png", if_version=seen.version)
    assert (await one.stat(PATH)).content_type == "image/jpeg"
    assert await one.list("media/") == await two.list("media/")
    await one.delete(PATH)
    assert await two.list("") == []
    await one.aclose()
    await two.aclose()


async def test_a_cancelled_look_forgets_no_change(tmp_path: Path) -> None:
    """A listing that is cancelled while it catches up leaves nothing for the next one to miss."""
    one, two = shared(tmp_path), shared(tmp_path)
    await one.upload(PATH, b"first", "image/png")
    looking = asyncio.create_task(two.list(""))
    await asyncio.sleep(0)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert [item.path for item in await two.list("")] == [PATH]
    await one.aclose()
    await two.aclose()


async def test_opening_leaves_the_drafts_of_the_living(tmp_path: Path) -> None:
    """A process that comes later removes what the dead left, and nothing that is being written."""
    one = shared(tmp_path)
    going_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        going_on.set()
        await came.wait()

    came = asyncio.Event()
    writing = asyncio.create_task(one.upload(PATH, body(), "image/png"))
    await going_on.wait()
    (tmp_path / "drafts" / "left").write_bytes(b"by the dead")
    two = shared(tmp_path)
    assert len(list((tmp_path / "drafts").iterdir())) == 1
    came.set()
    await writing
    assert await two.read(PATH) == b"half"
    await one.aclose()
    await two.aclose()


async def test_who_has_a_folder_alone_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of one process is refused to those that would share it, and the other way round."""
    monkeypatch.setattr(folder_module, "_PATIENCE", 0.05)
    alone = LocalStore(tmp_path, URL)
    with pytest.raises(StoreError, match="one process"):
        shared(tmp_path)
    await alone.aclose()
    together = shared(tmp_path)
    with pytest.raises(StoreError, match="one process"):
        LocalStore(tmp_path, URL)
    await together.aclose()


async def test_a_process_that_stands_still_holds_up_no_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process stands in a change, what was there is seen, and a write is told to come again."""
    monkeypatch.setattr(folder_module, "_PATIENCE", 0.05)
    store = shared(tmp_path)
    await store.upload(PATH, b"first", "image/png")
    with stuck_in_a_change(tmp_path, PATH) as other:
        other.send_signal(signal.SIGSTOP)
        assert await store.read(PATH) == b"first"
        assert [item.path for item in await store.list("")] == [PATH]
        with pytest.raises(StoreError, match="in the middle") as told:
            await store.upload(PATH, b"second", "image/png")
        assert told.value.retryable
        await store.upload("media/1/other", b"x", "image/png")
    await store.upload(PATH, b"second", "image/png")
    assert await store.read(PATH) == b"second"
    await store.aclose()


async def test_a_change_seen_half_way_is_seen_whole_later(tmp_path: Path) -> None:
    """A look between another's note and its rename does not hide the rename from the next look."""
    one, two = shared(tmp_path), shared(tmp_path)
    await one.upload(PATH, b"first", "image/png")
    before = await one.stat(PATH)
    publish, seen = Draft.publish, []

    def look_first(draft: Draft, target: Path) -> None:
        seen.append(asyncio.run_coroutine_threadsafe(two.stat(PATH), loop).result(5).version)
        publish(draft, target)

    loop = asyncio.get_running_loop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft, "publish", look_first)
        await one.upload(PATH, b"second", "image/png")
    assert seen == [before.version]
    assert (await two.stat(PATH)).version == (await one.stat(PATH)).version != before.version
    await one.aclose()
    await two.aclose()


async def test_a_torn_line_hides_no_other(tmp_path: Path) -> None:
    """What a full disk left of a line is skipped; the lines after it count."""
    one, two = shared(tmp_path), shared(tmp_path)
    with (tmp_path / "changes").open("ab") as journal:
        journal.write(b'\n"media/1/to')
    await one.upload(PATH, b"first", "image/png")
    assert (await two.stat(PATH)).version != Version("")
    await one.aclose()
    await two.aclose()


async def test_the_journal_begins_anew_when_nobody_reads_it(tmp_path: Path) -> None:
    """Whoever finds the folder empty of others clears the journal; who does not, leaves it."""
    one = shared(tmp_path)
    await one.upload(PATH, b"first", "image/png")
    two = shared(tmp_path)
    assert (tmp_path / "changes").stat().st_size > 0
    await one.aclose()
    await two.aclose()
    three = shared(tmp_path)
    assert (tmp_path / "changes").stat().st_size == 0
    assert [item.path for item in await three.list("")] == [PATH]
    await three.aclose()
