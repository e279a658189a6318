"""Objects in an S3-compatible bucket: bytes by obstore, what it cannot do by requests of our own.

Guarantees: everything that `Store` promises, where the bucket honours `If-Match` and `If-None-Match`
on PUT and DELETE, as Amazon's does. A version is the entity tag with the mark of the write. Not
guaranteed: a version of its own for a client's second PUT of the same bytes, and that two writers of
the same bytes at the same moment are told apart; URLs of `get_url` open only where the bucket is public.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from obstore.store import S3Store as Objects

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.storage.addresses import Addresses, PublicAddresses
from media_pipeline.storage.bucket import Bucket
from media_pipeline.storage.bucket_errors import NotThere
from media_pipeline.storage.chunks import as_pieces, rejoin
from media_pipeline.storage.paths import check_path
from media_pipeline.storage.patience import Logger, Patience
from media_pipeline.storage.s3_api import S3Api
from media_pipeline.storage.sigv4 import AwsKey
from media_pipeline.storage.store import (
    ABSENT,
    UPLOAD_TTL,
    MediaObject,
    ObjectNotFound,
    PreconditionFailed,
    PresignedUpload,
    Version,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta

PIECE: Final = 8 * 1024**2
_LOOKS: Final = 16


class S3Store:
    """A `SigningStore` in the bucket `bucket`; `url` is another endpoint than Amazon's, asked by path."""

    def __init__(
        self,
        bucket: str,
        key: AwsKey,
        logger: Logger | None = None,
        *,
        region: str = "us-east-1",
        url: str | None = None,
        addresses: Addresses | None = None,
        patience: Patience | None = None,
        timeout: float = 30,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._patience = patience or Patience(log=logger, clock=self._clock)
        endpoint = (url or f"https://{bucket}.s3.{region}.amazonaws.com").rstrip("/")
        base = f"{endpoint}/{bucket}" if url else endpoint
        self._addresses = addresses or PublicAddresses(base)
        self._api = S3Api(
            base, key, region=region, patience=self._patience, clock=self._clock, timeout=timeout
        )
        objects = Objects(
            bucket,
            endpoint=endpoint,
            region=region,
            virtual_hosted_style_request=not url,
            access_key_id=key.id,
            secret_access_key=key.secret,
            config=None if key.token is None else {"session_token": key.token},
            client_options={
                "allow_http": urlsplit(endpoint).scheme == "http",
                "timeout": timedelta(seconds=timeout),
            },
            retry_config={"max_retries": 0},
        )
        self._bucket = Bucket(objects, S3Dialect(), patience=self._patience, tag_is_md5=self._api.tag_is_md5)

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
        return self._addresses.url(path)

    async def write(
        self,
        path: str,
        data: bytes | AsyncIterator[bytes],
        content_type: str,
        *,
        if_version: Version | None = None,
    ) -> Version:
        """Write an object whole and return its version; what is longer than a piece goes in parts."""
        await self._expect(check_path(path), if_version)
        pieces = as_pieces(data, PIECE)
        first = await anext(pieces, b"")
        second = await anext(pieces, None)
        if second is None:
            return await self._bucket.put(check_path(path), first, content_type, if_version=if_version)
        whole = rejoin(first, second, pieces)
        await self._api.upload_parts(path, whole, content_type, condition=_condition(if_version))
        return await self._bucket.version_at(path)

    async def upload_presigned(
        self,
        path: str,
        content_type: str,
        *,
        size: int | None = None,
        expires_in: timedelta = UPLOAD_TTL,
        now: datetime | None = None,
        origin: str | None = None,  # noqa: ARG002 - S3 has no sessions
    ) -> PresignedUpload:
        """Sign permission for a client to PUT `path`; a client sends the signed length by itself."""
        at = now or datetime.fromtimestamp(self._clock.now(), UTC)
        headers = {"Content-Type": content_type} if content_type else {}
        signed = dict(headers)
        if size is not None:
            headers["If-None-Match"] = "*"
            signed = {**headers, "Content-Length": str(size)}
        url = self._api.sign("PUT", check_path(path), at=at, expires_in=expires_in, headers=signed)
        return PresignedUpload(url, headers, (at + expires_in).replace(microsecond=0).astimezone(UTC))

    async def sign_read(
        self,
        path: str,
        *,
        expires_in: timedelta,
        now: datetime | None = None,
        disposition: str | None = None,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> str:
        """Sign a URL that reads `path` until it expires; see `SigningStore`."""
        at = now or datetime.fromtimestamp(self._clock.now(), UTC)
        query = {} if disposition is None else {"response-content-disposition": disposition}
        return self._api.sign(method, check_path(path), at=at, expires_in=expires_in, query=query)

    async def get_url(self, path: str) -> str:
        """Return the permanent URL of `path`."""
        return self._addresses.url(path)

    async def delete(self, path: str, *, if_version: Version | None = None) -> None:
        """Remove an object; one that is not there is no error."""
        await self._bucket.delete(
            check_path(path), if_version=if_version, delete=lambda found: self._api.delete(path, _tag(found))
        )

    async def list(self, prefix: str) -> list[MediaObject]:
        """Return the objects whose path starts with `prefix`, by path; S3 tells types one by one only."""
        return sorted([item async for item in self.walk(prefix)], key=lambda item: item.path)

    async def walk(self, prefix: str) -> AsyncIterator[MediaObject]:
        """Yield the same objects, a thousand names a request; see `Store`."""
        async for paths in self._api.pages_under(prefix):
            for item in await self._look_at(paths):
                yield item

    async def _expect(self, path: str, version: Version | None) -> None:
        """Refuse beforehand what `If-Match` cannot: a later write of the same bytes has the same tag."""
        if version in {None, ABSENT}:
            return
        if await self._bucket.version_at(path) != version:
            raise PreconditionFailed(f"The object at {path} is not the version that was expected.")

    async def _look_at(self, paths: Sequence[str]) -> Sequence[MediaObject]:
        turn = asyncio.Semaphore(_LOOKS)

        async def look(path: str) -> MediaObject | None:
            async with turn:
                try:
                    return await self._bucket.look(path)
                except ObjectNotFound:
                    return None

        found = await asyncio.gather(*(look(path) for path in paths))
        return [item for item in found if item is not None]

    async def stat(self, path: str) -> MediaObject:
        """Describe an object; `ObjectNotFound` if there is none."""
        return await self._bucket.look(check_path(path))

    async def read(
        self, path: str, *, start: int = 0, end: int | None = None, version: Version | None = None
    ) -> bytes:
        """Return the bytes of an object or of a range of it; see `Store`."""
        return await self._bucket.read(check_path(path), start=start, end=end, version=version)

    async def stream(
        self, path: str, *, start: int = 0, end: int | None = None, version: Version | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of one version, also when the answer breaks off; see `Store`."""
        async for chunk in self._bucket.stream(check_path(path), start=start, end=end, version=version):
            yield chunk

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()


class S3Dialect:
    """A version is `tag~mark`: the tag is what S3 can hold a request to, the mark tells writes apart."""

    def version(self, meta: ObjectMeta, mark: str) -> Version:
        return Version(f"{meta['e_tag'] or ''}~{mark}")

    def write_mode(self, version: Version) -> Any:
        return {"e_tag": _tag(version)}

    def read_options(self, version: Version) -> dict[str, Any]:
        if "~" not in version:
            raise NotThere
        return {"if_match": _tag(version)}


def _tag(version: Version) -> str:
    tag, found, _ = version.partition("~")
    if not found:
        raise PreconditionFailed("The version that was expected is none of this store.")
    return tag


def _condition(version: Version | None) -> dict[str, str]:
    if version is None:
        return {}
    return {"If-None-Match": "*"} if version == ABSENT else {"If-Match": _tag(version)}
