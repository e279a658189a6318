"""Objects in a folder of this machine, served at `/storage/`.

Guarantees: everything that `Store` promises; what was acknowledged survives a crash of process or
machine (written aside, fsync, rename, fsync of the folder), and what was not leaves nothing. One
process owns the folder, or several share it and see each other's writes as their own. Not guaranteed:
anything about files that another program put there, or a folder on a network whose locks do not work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from media_pipeline.clock import Clock
from media_pipeline.failpoints import failpoint
from media_pipeline.storage.chunks import CHUNK_BYTES, as_chunks, window
from media_pipeline.storage.folder import Folder
from media_pipeline.storage.objectfile import ObjectFile
from media_pipeline.storage.paths import check_path
from media_pipeline.storage.served import MAX_UPLOAD_BYTES, Gate, OnBytes, metered
from media_pipeline.storage.store import (
    ABSENT,
    UPLOAD_TTL,
    MediaObject,
    PreconditionFailed,
    PresignedUpload,
    Version,
)
from media_pipeline.storage.threads import blocking, finish
from media_pipeline.storage.tickets import Ticket


class LocalStore:
    """A `ServedStore` in `directory`.

    Opening blocks while it reads the first line of every object, and raises `StoreError` where the
    folder cannot be used or another process has it; `shared` has it together with others that say so.
    """

    def __init__(
        self,
        directory: Path,
        base_url: str,
        *,
        clock: Clock | None = None,
        secret: bytes | None = None,
        max_upload_bytes: int = MAX_UPLOAD_BYTES,
        shared: bool = False,
    ) -> None:
        self._gate = Gate(base_url, clock=clock, secret=secret, max_upload_bytes=max_upload_bytes)
        self._folder = Folder(Path(directory), shared=shared)
        self._catalog = self._folder.open()
        self._catching_up = asyncio.Lock()

    async def upload(
        self,
        path: str,
        data: bytes | AsyncIterator[bytes],
        content_type: str,
        *,
        if_version: Version | None = None,
    ) -> str:
        """Write an object whole and return its URL; see `Store`."""
        await self.write(path, data, content_type, if_version=if_version)
        return self._gate.url(path)

    async def write(
        self,
        path: str,
        data: bytes | AsyncIterator[bytes],
        content_type: str,
        *,
        if_version: Version | None = None,
    ) -> Version:
        """Write an object whole and return its version; see `Store`."""
        return (await self._write(path, as_chunks(data), content_type, if_version=if_version)).version

    async def upload_presigned(
        self,
        path: str,
        content_type: str,
        *,
        size: int | None = None,
        expires_in: timedelta = UPLOAD_TTL,
        now: datetime | None = None,
        origin: str | None = None,  # noqa: ARG002 - only a resumable session is for one origin
    ) -> PresignedUpload:
        """Sign permission for a client to PUT `path`; see `Store`."""
        return self._gate.sign(path, content_type, size=size, expires_in=expires_in, now=now)

    async def get_url(self, path: str) -> str:
        """Return the permanent URL of `path`."""
        return self._gate.url(path)

    async def delete(self, path: str, *, if_version: Version | None = None) -> None:
        """Remove an object; one that is not there is no error."""
        await finish(blocking(self._folder.remove, check_path(path), if_version=if_version))

    async def list(self, prefix: str) -> list[MediaObject]:
        """Return the objects whose path starts with `prefix`, by path."""
        await self._catch_up()
        return self._catalog.under(prefix)

    async def walk(self, prefix: str) -> AsyncIterator[MediaObject]:
        """Yield the same objects; see `Store`."""
        for item in await self.list(prefix):
            yield item

    async def stat(self, path: str) -> MediaObject:
        """Describe an object; `ObjectNotFound` if there is none."""
        await self._catch_up()
        return self._catalog.find(check_path(path))

    async def read(
        self, path: str, *, start: int = 0, end: int | None = None, version: Version | None = None
    ) -> bytes:
        """Return the bytes of an object or of a range of it; see `Store`."""
        async with self._opened(path, version) as (file, item):
            return await blocking(file.read, *window(start, end, item.size))

    async def stream(
        self, path: str, *, start: int = 0, end: int | None = None, version: Version | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of one version, also when the object is replaced meanwhile."""
        async with self._opened(path, version) as (file, item):
            first, last = window(start, end, item.size)
            for place in range(first, last, CHUNK_BYTES):
                yield await blocking(file.read, place, min(place + CHUNK_BYTES, last))

    async def aclose(self) -> None:
        """Let another process have the folder."""
        self._folder.close()

    def admit(
        self, path: str, query: Mapping[str, str], *, content_type: str, content_length: int | None
    ) -> Ticket:
        """Say what a PUT may do before its body is read; see `ServedStore`."""
        ticket = self._gate.admit(path, query, content_type=content_type, content_length=content_length)
        if ticket.create_only and self._folder.place(path).exists():
            raise PreconditionFailed(f"There is an object at {path} already.")
        return ticket

    async def receive(
        self, ticket: Ticket, chunks: AsyncIterator[bytes], *, on_bytes: OnBytes
    ) -> MediaObject:
        """Write the body of an admitted PUT; see `ServedStore`."""
        return await self._write(
            ticket.path,
            metered(ticket, chunks, on_bytes=on_bytes),
            ticket.content_type,
            if_version=ABSENT if ticket.create_only else None,
        )

    async def _write(
        self, path: str, chunks: AsyncIterator[bytes], content_type: str, *, if_version: Version | None
    ) -> MediaObject:
        await self._catch_up()
        self._catalog.require(check_path(path), if_version)
        draft = self._folder.draft(path, content_type)
        try:
            await blocking(draft.open, self._gate.now())
            async for chunk in chunks:
                await blocking(draft.write, chunk)
                failpoint("mid_upload")
            item = await blocking(draft.seal, self._gate.now())
            await finish(blocking(self._folder.publish, draft, path, if_version=if_version))
        except BaseException:
            await blocking(draft.discard)
            raise
        return item

    async def _catch_up(self) -> None:
        """Know of every change that was made, here or elsewhere, before this call."""
        async with self._catching_up:
            if self._folder.changed:
                await finish(self._take_changes())

    async def _take_changes(self) -> None:
        for path, item in await blocking(self._folder.read_changes):
            if item is None:
                self._catalog.drop(path)
            else:
                self._catalog.put(item)

    @asynccontextmanager
    async def _opened(
        self, path: str, version: Version | None
    ) -> AsyncIterator[tuple[ObjectFile, MediaObject]]:
        file = ObjectFile(self._folder.place(check_path(path)))
        try:
            item = await blocking(file.open)
            if version not in (None, item.version):
                raise PreconditionFailed(f"The object at {path} is not the version that was expected.")
            yield file, item
        finally:
            file.close()
