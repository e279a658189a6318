"""Every engine that keeps the store's promises; a new one is one line in `ENGINES`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, cast

from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.store import Store

BASE_URL = "http://media.test"


@dataclass(frozen=True, slots=True)
class Engine:
    """One way to open a store; `opened` gets a folder of its own."""

    name: str
    opened: Callable[[Path], AbstractAsyncContextManager[Store]]


@asynccontextmanager
async def open_memory(directory: Path) -> AsyncIterator[Store]:
    store = MemoryStore(BASE_URL)
    yield store
    await store.aclose()


@asynccontextmanager
async def open_local(directory: Path) -> AsyncIterator[Store]:
    store = LocalStore(directory, BASE_URL)
    yield store
    await store.aclose()


class Alternating:
    """Two stores of one folder that take turns, call by call, as two processes do."""

    def __init__(self, *stores: LocalStore) -> None:
        self._turns = cycle(stores)

    def __getattr__(self, name: str) -> Any:
        return getattr(next(self._turns), name)


@asynccontextmanager
async def open_shared(directory: Path) -> AsyncIterator[Store]:
    stores = [LocalStore(directory, BASE_URL, secret=b"one", shared=True) for _ in range(2)]
    yield cast(Store, Alternating(*stores))
    for store in stores:
        await store.aclose()


ENGINES = [
    Engine("memory", open_memory),
    Engine("local", open_local),
    Engine("local, shared", open_shared),
]


async def stream_of(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])
