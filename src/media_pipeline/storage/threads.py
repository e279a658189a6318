"""Blocking file work beside the event loop, without half-known outcomes.

Guarantee: when `blocking` or `finish` returns or raises, the work is over, also after a cancellation,
so nothing is closed or removed under a running thread.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Final, ParamSpec, TypeVar

from media_pipeline.storage.store import StoreError, StoreFull

P = ParamSpec("P")
T = TypeVar("T")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


async def blocking(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `call` in a thread; a cancellation is raised once the thread is done.

    An `OSError` comes out as `StoreFull` or `StoreError`.
    """
    work = asyncio.get_running_loop().run_in_executor(None, partial(call, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await _settle(work)
        raise
    except OSError as error:
        raise store_error(error) from error


async def finish(work: Coroutine[object, object, T]) -> T:
    """Await `work` to its end whatever is cancelled, and return its result.

    For the step that cannot be taken back: its caller must not believe that it failed.
    """
    task = asyncio.ensure_future(work)
    await _settle(task)
    return task.result()


def store_error(error: OSError) -> StoreError:
    """Say what an error of the file system means for the store."""
    if error.errno in _FULL:
        return StoreFull("The disk is full.")
    return StoreError(f"The file system refused: {error.strerror or error}.")


async def _settle(work: asyncio.Future[T]) -> None:
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({work})
    if not work.cancelled():
        work.exception()
