from __future__ import annotations

import asyncio
import errno
import threading

import pytest

from media_pipeline.storage.store import StoreError, StoreFull
from media_pipeline.storage.threads import blocking, finish


async def test_a_cancelled_call_ends_before_its_cancellation() -> None:
    """The thread is done when CancelledError comes out, however often it was cancelled."""
    started, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        go_on.wait(10)
        done.set()

    task = asyncio.create_task(blocking(work))
    await asyncio.to_thread(started.wait, 10)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_a_cancelled_call_may_fail_unheard() -> None:
    """An error after the cancellation is not reported a second time."""
    started, go_on = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        go_on.wait(10)
        raise ValueError

    task = asyncio.create_task(blocking(work))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_must_finish_finishes() -> None:
    """A cancellation of finish() changes neither its work nor its result."""
    go_on = asyncio.Event()

    async def work() -> str:
        await go_on.wait()
        return "done"

    task = asyncio.create_task(finish(work()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert await task == "done"


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EACCES, StoreError)]
)
async def test_errors_of_the_file_system_are_the_stores(number: int, kind: type[StoreError]) -> None:
    """No OSError leaves the store: a full disk is StoreFull, anything else StoreError."""

    def work() -> None:
        raise OSError(number, "no")

    with pytest.raises(StoreError) as caught:
        await blocking(work)
    assert type(caught.value) is kind
