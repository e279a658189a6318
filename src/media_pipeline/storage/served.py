"""A store whose bytes this service serves itself at `/storage/`, and the gate before its writes."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.storage.store import MediaObject, PresignedUpload, Store
from media_pipeline.storage.tickets import (
    Ticket,
    check_complete,
    check_declared,
    check_not_over,
    object_url,
    sign,
    verify,
)

OnBytes = Callable[[int], Awaitable[None]]
"""Is told after each chunk how many bytes have arrived in all."""

MAX_UPLOAD_BYTES: Final = 2 * 1024**3
ANY_TYPE: Final = "application/octet-stream"


class ServedStore(Store, Protocol):
    """A store that takes the PUT of its own signed URLs."""

    def admit(
        self, path: str, query: Mapping[str, str], *, content_type: str, content_length: int | None
    ) -> Ticket:
        """Return what a PUT with these headers may do, before its body is read.

        Raises `TicketRefused`, `PreconditionFailed` where a create-only ticket meets an object, and
        `StoreFull` where the declared length does not fit.
        """
        ...

    async def receive(
        self, ticket: Ticket, chunks: AsyncIterator[bytes], *, on_bytes: OnBytes
    ) -> MediaObject:
        """Write the body of an admitted PUT; nothing is visible if it breaks off or is refused."""
        ...


class Gate:
    """Signs and checks the upload URLs of one store. Without a `secret` they die with the process."""

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock | None = None,
        secret: bytes | None = None,
        max_upload_bytes: int = MAX_UPLOAD_BYTES,
    ) -> None:
        self._base_url = base_url
        self._clock = clock or SystemClock()
        self._secret = secret or secrets.token_bytes(32)
        self._max_upload_bytes = max_upload_bytes

    def now(self) -> datetime:
        """Return the gate's time, in UTC."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def url(self, path: str) -> str:
        """Return the permanent URL of `path`."""
        return object_url(self._base_url, path)

    def sign(
        self,
        path: str,
        content_type: str,
        *,
        size: int | None,
        expires_in: timedelta,
        now: datetime | None,
    ) -> PresignedUpload:
        """Do what `Store.upload_presigned` promises; a `size` over the limit raises `TicketRefused`."""
        expires_at = ((now or self.now()) + expires_in).replace(microsecond=0).astimezone(UTC)
        limit = self._max_upload_bytes
        ticket = Ticket(
            path=path, content_type=content_type, size=size, max_bytes=limit, expires_at=expires_at
        )
        check_not_over(ticket, size or 0)
        url = sign(ticket, base_url=self._base_url, secret=self._secret)
        headers = {"Content-Type": content_type} if content_type else {}
        return PresignedUpload(url=url, headers=headers, expires_at=expires_at)

    def admit(
        self, path: str, query: Mapping[str, str], *, content_type: str, content_length: int | None
    ) -> Ticket:
        """Verify a ticket and what the headers declare; its type becomes the one to store."""
        now, limit = self.now(), self._max_upload_bytes
        ticket = verify(path, query, secret=self._secret, now=now, max_bytes=limit)
        check_declared(ticket, content_type=content_type, content_length=content_length)
        return replace(ticket, content_type=ticket.content_type or content_type or ANY_TYPE)


async def metered(ticket: Ticket, chunks: AsyncIterator[bytes], *, on_bytes: OnBytes) -> AsyncIterator[bytes]:
    """Yield `chunks` as far as `ticket` allows, and report each once it has been taken."""
    loaded = 0
    async for chunk in chunks:
        loaded += len(chunk)
        check_not_over(ticket, loaded)
        yield chunk
        await on_bytes(loaded)
    check_complete(ticket, loaded)
