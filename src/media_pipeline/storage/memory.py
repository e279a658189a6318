"""Objects in this process's memory, served at `/storage/`: the store of development and tests.

Guarantees: everything that `Store` promises, and never more than `max_bytes` held, uploads in
flight included. Not guaranteed: anything after the process ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from media_pipeline.clock import Clock
from media_pipeline.storage.budget import Budget
from media_pipeline.storage.catalog import Catalog
from media_pipeline.storage.chunks import CHUNK_BYTES, as_chunks, window
from media_pipeline.storage.paths import check_path
from media_pipeline.storage.served import MAX_UPLOAD_BYTES, Gate, OnBytes, metered
from media_pipeline.storage.store import (
    ABSENT,
    UPLOAD_TTL,
    MediaObject,
    PresignedUpload,
    Version,
)
from media_pipeline.storage.tickets import Ticket

MAX_BYTES: Final = 1024**3


class MemoryStore:
    """A `ServedStore` of at most `max_bytes`; `StoreFull` beyond."""

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock | None = None,
        secret: bytes | None = None,
        max_upload_bytes: int = MAX_UPLOAD_BYTES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._gate = Gate(base_url, clock=clock, secret=secret, max_upload_bytes=max_upload_bytes)
        self._budget = Budget(max_bytes)
        self._catalog = Catalog()
        self._bodies: dict[str, memoryview] = {}

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
        if check_path(path) in self._catalog:
            self._catalog.require(path, if_version)
            self._forget(path)

    async def list(self, prefix: str) -> list[MediaObject]:
        """Return the objects whose path starts with `prefix`, by path."""
        return self._catalog.under(prefix)

    async def walk(self, prefix: str) -> AsyncIterator[MediaObject]:
        """Yield the same objects; see `Store`."""
        for item in await self.list(prefix):
            yield item

    async def stat(self, path: str) -> MediaObject:
        """Describe an object; `ObjectNotFound` if there is none."""
        return self._catalog.find(check_path(path))

    async def read(
        self, path: str, *, start: int = 0, end: int | None = None, version: Version | None = None
    ) -> bytes:
        """Return the bytes of an object or of a range of it; see `Store`."""
        return bytes(self._view(path, start, end, version))

    async def stream(
        self, path: str, *, start: int = 0, end: int | None = None, version: Version | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of one version, also when the object is replaced meanwhile."""
        view = self._view(path, start, end, version)
        for place in range(0, len(view), CHUNK_BYTES):
            yield bytes(view[place : place + CHUNK_BYTES])

    async def aclose(self) -> None:
        """Hold nothing open."""

    def admit(
        self, path: str, query: Mapping[str, str], *, content_type: str, content_length: int | None
    ) -> Ticket:
        """Say what a PUT may do before its body is read; see `ServedStore`."""
        ticket = self._gate.admit(path, query, content_type=content_type, content_length=content_length)
        self._catalog.require(path, ABSENT if ticket.create_only else None)
        self._budget.check(content_length or 0, credit=self._catalog.size(path))
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
        self._catalog.require(check_path(path), if_version)
        with self._budget.lease() as lease:
            body = bytearray()
            async for chunk in chunks:
                lease.take(len(chunk), credit=self._catalog.size(path))
                body += chunk
            self._catalog.require(path, if_version)
            self._forget(path)
            lease.keep()
        return self._place(path, body, content_type)

    def _place(self, path: str, body: bytearray, content_type: str) -> MediaObject:
        item = MediaObject(
            path=path,
            size=len(body),
            content_type=content_type,
            created_at=self._gate.now(),
            version=Version(uuid4().hex),
        )
        self._bodies[path] = memoryview(body).toreadonly()
        self._catalog.put(item)
        return item

    def _forget(self, path: str) -> None:
        self._budget.give_back(self._catalog.size(path))
        self._bodies.pop(path, None)
        self._catalog.drop(path)

    def _view(self, path: str, start: int, end: int | None, version: Version | None) -> memoryview:
        item = self._catalog.find(check_path(path))
        self._catalog.require(path, version)
        first, last = window(start, end, item.size)
        return self._bodies[path][first:last]
