"""Every engine that keeps the store's promises; a new one is one line in `ENGINES`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, cast

from media_pipeline.storage.gcs import GCSStore
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.s3 import S3Store
from media_pipeline.storage.sigv4 import AwsKey
from media_pipeline.storage.store import Store
from tests.servers.gcs_server import shared_gcs
from tests.servers.s3 import new_bucket, shared_s3

BASE_URL = "http://media.test"


@dataclass(frozen=True, slots=True)
class Engine:
    """One way to open a store; `opened` gets a folder of its own.

    `kind_unsaid` is the content type of an object that was written with an empty one; `examples` is
    how many sequences of operations are tried on it.
    """

    name: str
    opened: Callable[[Path], AbstractAsyncContextManager[Store]]
    kind_unsaid: str = ""
    examples: int = 25


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


@asynccontextmanager
async def open_gcs(directory: Path) -> AsyncIterator[Store]:
    fake = shared_gcs()
    store = GCSStore(fake.new_bucket(), fake.account, url=fake.url)
    yield store
    await store.aclose()


@asynccontextmanager
async def open_s3(directory: Path) -> AsyncIterator[Store]:
    url = shared_s3()
    store = S3Store(new_bucket(url), AwsKey("testing", "testing"), url=url)
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
    Engine("s3", open_s3, kind_unsaid="application/octet-stream", examples=6),
    Engine("gcs", open_gcs, kind_unsaid="application/octet-stream", examples=6),
    Engine("local, shared", open_shared),
]


async def stream_of(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])
