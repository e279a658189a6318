"""From bytes to a library item: looked into for real, with thumbnails, under their true type.

Guarantees: nothing of the file is decoded in this process; what it is served as is what it is; thumbnails
carry neither place nor camera; a second run of the job writes only over what it saw.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from media_pipeline.clock import Clock
from media_pipeline.errors import MediaPipelineError
from media_pipeline.media.claimed import ClaimedObjects
from media_pipeline.media.finish import Looks, as_it_looks, write_rungs
from media_pipeline.media.intake import check_decoded
from media_pipeline.media.item import Item, Rung, Source
from media_pipeline.media.library import keep_item
from media_pipeline.media.present import describe
from media_pipeline.media.quota import settle_promise
from media_pipeline.media.sniff import ACCEPTED, HEAD_BYTES
from media_pipeline.media.workshop.orders import LADDER, Examined
from media_pipeline.media.workshop.workshop import Workshop
from media_pipeline.queue.job import Job
from media_pipeline.queue.queue import Outcome
from media_pipeline.storage.paths import thumbnail_path
from media_pipeline.storage.store import MediaObject, PreconditionFailed, Store
from media_pipeline.storage.threads import blocking

_CHUNK: Final = 256 * 1024


class BytesChanged(MediaPipelineError):
    """The object was replaced while it was looked into."""

    code: ClassVar[str] = "object_changed"
    retryable: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Desk:
    """One job's place to work: a folder of its own, and the objects it may write."""

    job: Job
    folder: Path
    objects: ClaimedObjects

    @property
    def file(self) -> Path:
        """Where the file lies that is looked into."""
        return self.folder / "file"


class Ingest:
    """Make items of files."""

    def __init__(self, store: Store, workshop: Workshop, *, clock: Clock) -> None:
        self._store = store
        self._workshop = workshop
        self._clock = clock

    @asynccontextmanager
    async def desk(self, job: Job, *paths: str) -> AsyncGenerator[Desk, None]:
        """Lend a desk for one run of `job`, which may write its thumbnails and `paths`."""
        thumbnails = _thumbnail_paths(job)
        objects = await ClaimedObjects.claim(self._store, [*thumbnails, *paths], attempt=job.attempt)
        folder = await blocking(tempfile.TemporaryDirectory, prefix="media-pipeline-")
        try:
            yield Desk(job, Path(folder.name), objects)
        finally:
            await blocking(folder.cleanup)

    async def fetch(self, stored: MediaObject, file: Path) -> None:
        """Copy an object to the disk, chunk by chunk."""
        await write_file(file, self._store.stream(stored.path, version=stored.version))

    async def under_true_type(self, stored: MediaObject, content_type: str) -> MediaObject:
        """Write the true content type on an object that was sent under another, or raise `BytesChanged`."""
        if stored.content_type == content_type:
            return stored
        try:
            source = self._store.stream(stored.path, version=stored.version)
            await self._store.upload(stored.path, source, content_type, if_version=stored.version)
        except PreconditionFailed as error:
            raise BytesChanged("The bytes changed while they were looked into; it is done again.") from error
        return await self._store.stat(stored.path)

    async def keep_stored(self, desk: Desk, stored: MediaObject, content_type: str, *, name: str) -> Outcome:
        """Make an item of an uploaded object, which lies at the desk too."""
        examined = await self._examine(desk, content_type)
        stored = await self.under_true_type(stored, examined.content_type)
        item = await self._item(desk, stored, examined, name=name, source="upload")
        if (await self._store.stat(stored.path)).version != stored.version:
            raise BytesChanged("The bytes changed while they were looked into; it is done again.")
        return _outcome(item)

    async def keep_file(
        self,
        desk: Desk,
        path: str,
        content_type: str,
        *,
        name: str,
        source: Source,
        source_path: str | None = None,
    ) -> Outcome:
        """Make an item at `path` of the file at the desk."""
        examined = await self._examine(desk, content_type)
        await desk.objects.write(path, read_file(desk.file), examined.content_type)
        stored = await self._store.stat(path)
        item = await self._item(desk, stored, examined, name=name, source=source, source_path=source_path)
        return _outcome(item)

    async def _examine(self, desk: Desk, content_type: str) -> Examined:
        examined = await self._workshop.examine(desk.file, desk.folder, content_type)
        check_decoded(examined.content_type)
        return examined

    async def _item(
        self,
        desk: Desk,
        stored: MediaObject,
        examined: Examined,
        *,
        name: str,
        source: Source,
        source_path: str | None = None,
    ) -> Item:
        rungs = await self._write_thumbnails(desk, examined)
        item = Item(
            path=stored.path,
            user_id=desk.job.user_id,
            job_id=desk.job.id,
            kind=ACCEPTED[examined.content_type],
            source=source,
            source_path=source_path,
            name=name,
            content_type=examined.content_type,
            size=stored.size,
            version=stored.version,
            created_at=self._clock.now(),
        )
        return as_it_looks(item, examined, rungs)

    async def _write_thumbnails(self, desk: Desk, examined: Examined) -> tuple[Rung, ...]:
        files = [desk.folder / small.name for small in examined.thumbnails]
        looks = Looks(examined, [await blocking(file.read_bytes) for file in files])
        paths = _thumbnail_paths(desk.job)
        return await write_rungs(desk.objects.write, looks, paths)


async def read_head(file: Path) -> tuple[bytes, int]:
    """Return the first bytes of a file and how many it has."""

    def look() -> tuple[bytes, int]:
        with file.open("rb") as source:
            return source.read(HEAD_BYTES), os.fstat(source.fileno()).st_size

    return await blocking(look)


async def write_file(file: Path, chunks: AsyncIterator[bytes]) -> None:
    """Write chunks to a new file without holding more than one."""
    out = await blocking(file.open, "xb")
    try:
        async for chunk in chunks:
            await blocking(out.write, chunk)
    finally:
        await blocking(out.close)


async def read_file(file: Path) -> AsyncIterator[bytes]:
    """Yield a file in chunks of bounded size."""
    source = await blocking(file.open, "rb")
    try:
        while chunk := await blocking(source.read, _CHUNK):
            yield chunk
    finally:
        await blocking(source.close)


def _thumbnail_paths(job: Job) -> list[str]:
    return [thumbnail_path(job.user_id, job.id, rung) for rung in range(len(LADDER))]


def _outcome(item: Item) -> Outcome:
    return Outcome(
        {"path": item.path, "item": describe(item)}, [*keep_item(item), settle_promise(item.job_id)]
    )
