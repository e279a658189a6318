"""Where bytes live: the `Store` protocol, its types and its errors.

Guarantees: an object is visible whole or not at all; a read after a write sees it; a write with
`if_version` lands only over exactly that version. Not guaranteed: listing order beyond "by path",
and anything about objects that another program wrote.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final, Literal, NewType, Protocol

from media_pipeline.errors import MediaPipelineError

Version = NewType("Version", str)
"""Opaque; differs for every write of a path. A store's own generation or entity tag."""

ABSENT: Final = Version("absent")
"""As `if_version`: write only where nothing stands (create-only)."""

UPLOAD_TTL: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class MediaObject:
    """One stored object; `size` in bytes, `created_at` in UTC."""

    path: str
    size: int
    content_type: str
    created_at: datetime
    version: Version


@dataclass(frozen=True, slots=True)
class PresignedUpload:
    """Permission to PUT one object: send the bytes to `url` with exactly `headers` before `expires_at`.

    With `chunk_bytes` the URL is a resumable session: it takes the whole in one PUT, or chunks with
    `Content-Range` of which all but the last are a multiple of `chunk_bytes`, and says how far it is.
    """

    url: str
    headers: Mapping[str, str]
    expires_at: datetime
    chunk_bytes: int | None = None


class StoreError(MediaPipelineError):
    """The store could not do it now."""

    code: ClassVar[str] = "storage_unavailable"
    retryable: ClassVar[bool] = True


class ObjectNotFound(StoreError):
    """There is no object at this path."""

    code: ClassVar[str] = "object_not_found"
    retryable: ClassVar[bool] = False


class PreconditionFailed(StoreError):
    """The object is not the version that the caller saw; nothing was written."""

    code: ClassVar[str] = "object_changed"
    retryable: ClassVar[bool] = False


class InvalidPath(StoreError):
    """The path is empty, absolute, too long or holds a segment that could escape."""

    code: ClassVar[str] = "invalid_path"
    retryable: ClassVar[bool] = False


class UploadRefused(StoreError):
    """The upload is not what the signed URL allows."""

    code: ClassVar[str] = "upload_refused"
    retryable: ClassVar[bool] = False


class StoreFull(StoreError):
    """The store's byte limit is reached."""

    code: ClassVar[str] = "storage_full"
    retryable: ClassVar[bool] = True


class Store(Protocol):
    """Keep, hand out and forget objects by path.

    Paths are `/`-separated, relative, at most 1,024 bytes of UTF-8, without empty, `.` or `..`
    segments, backslashes or control characters; anything else raises `InvalidPath`.
    """

    async def upload(
        self,
        path: str,
        data: bytes | AsyncIterator[bytes],
        content_type: str,
        *,
        if_version: Version | None = None,
    ) -> str:
        """Write an object whole, as `write` does, and return its URL."""
        ...

    async def write(
        self,
        path: str,
        data: bytes | AsyncIterator[bytes],
        content_type: str,
        *,
        if_version: Version | None = None,
    ) -> Version:
        """Write an object whole and return its version.

        `if_version`: None overwrites whatever stands there, `ABSENT` creates only, a version
        replaces exactly that one; otherwise `PreconditionFailed` and nothing changes.
        """
        ...

    async def upload_presigned(
        self,
        path: str,
        content_type: str,
        *,
        size: int | None = None,
        expires_in: timedelta = UPLOAD_TTL,
        now: datetime | None = None,
        origin: str | None = None,
    ) -> PresignedUpload:
        """Sign permission for a client to PUT `path`.

        Without `size` only the content type is signed (nothing when it is empty); with it also
        the exact length and create-only. `now` fixes the instant of signing, so that the same
        arguments give the same URL, but for a resumable session, which is new each time and lets
        a browser in from `origin` only.
        """
        ...

    async def get_url(self, path: str) -> str:
        """Return the permanent URL of `path`; it need not exist."""
        ...

    async def delete(self, path: str, *, if_version: Version | None = None) -> None:
        """Remove an object; one that is not there is no error."""
        ...

    async def list(self, prefix: str) -> list[MediaObject]:
        """Return the objects whose path starts with `prefix`, by path."""
        ...

    def walk(self, prefix: str) -> AsyncIterator[MediaObject]:
        """Yield the same objects, of a bucket a page at a time; one written meanwhile may be missed."""
        ...

    async def stat(self, path: str) -> MediaObject:
        """Describe an object without its bytes; `ObjectNotFound` if there is none."""
        ...

    async def read(
        self, path: str, *, start: int = 0, end: int | None = None, version: Version | None = None
    ) -> bytes:
        """Return bytes `start` (inclusive) to `end` (exclusive, None for all), of `version` if given.

        A range past the end returns what there is. Another version raises `PreconditionFailed`.
        """
        ...

    def stream(
        self, path: str, *, start: int = 0, end: int | None = None, version: Version | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the same bytes as `read` in chunks of bounded size; errors come at the first chunk."""
        ...

    async def aclose(self) -> None:
        """Release what the store holds open."""
        ...


class SigningStore(Store, Protocol):
    """A store whose bytes clients read from it directly, by URLs that it signs."""

    async def sign_read(
        self,
        path: str,
        *,
        expires_in: timedelta,
        now: datetime | None = None,
        disposition: str | None = None,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> str:
        """Sign a URL that reads `path` until it expires; it need not exist.

        `disposition` is the `Content-Disposition` of the answer. The same arguments give the same
        URL, so round `now` where caches shall work.
        """
        ...
