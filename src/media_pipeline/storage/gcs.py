"""Objects in Google Cloud Storage: bytes by obstore, what it cannot do by the JSON API, URLs signed V4.

Guarantees: everything that `Store` promises; a version is Google's generation. Not guaranteed: that
bytes of a range match a checksum, for Google gives none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit
from uuid import uuid4

from obstore.store import GCSStore as Objects

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.jsonvalue import JsonObject
from media_pipeline.storage.addresses import Addresses, PublicAddresses
from media_pipeline.storage.bucket import ANY_TYPE, WRITE_MARK, Bucket
from media_pipeline.storage.bucket_errors import NotThere
from media_pipeline.storage.chunks import as_pieces, rejoin
from media_pipeline.storage.gcs_api import GOOGLE, GcsApi
from media_pipeline.storage.gcs_session import CHUNK, PIECE, Session
from media_pipeline.storage.google_credentials import IAM, GoogleCredentials
from media_pipeline.storage.paths import check_path
from media_pipeline.storage.patience import Logger, Patience
from media_pipeline.storage.signing import UrlRequest, prepare
from media_pipeline.storage.store import (
    ABSENT,
    UPLOAD_TTL,
    MediaObject,
    ObjectNotFound,
    PreconditionFailed,
    PresignedUpload,
    StoreError,
    Version,
)
from media_pipeline.storage.web import check, send

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import GCSCredential

SESSION_OVER: Final = 16 * 1024**2
"""Clients send more bytes than these by a resumable session."""


class GCSStore:
    """A `SigningStore` in the bucket `bucket`.

    `service_account_json`: the JSON itself, a path to it, or None for application default
    credentials. `url` is Google's or an emulator's; `addresses` makes the URLs
    of `get_url`; without it they are the bucket's own, which open where it is public.
    """

    def __init__(
        self,
        bucket: str,
        service_account_json: str | None = None,
        logger: Logger | None = None,
        *,
        url: str = GOOGLE,
        addresses: Addresses | None = None,
        session_over: int = SESSION_OVER,
        patience: Patience | None = None,
        timeout: float = 30,
        iam_url: str = IAM,
        clock: Clock | None = None,
    ) -> None:
        self._name = bucket
        self._url = url.rstrip("/")
        self._addresses = addresses or PublicAddresses(f"{self._url}/{bucket}")
        self._session_over = session_over
        self._clock = clock or SystemClock()
        self._patience = patience or Patience(log=logger, clock=self._clock)
        self._credentials = GoogleCredentials(service_account_json, patience=self._patience, iam_url=iam_url)
        self.api = GcsApi(bucket, self._credentials, patience=self._patience, url=self._url, timeout=timeout)
        objects = Objects(
            bucket,
            base_url=self._url,
            credential_provider=self._obstore_token,
            client_options={"allow_http": True, "timeout": timedelta(seconds=timeout)},
            retry_config={"max_retries": 0},
        )
        self._bucket = Bucket(objects, GcsDialect(), patience=self._patience, crc32c_of=self.api.crc32c_of)

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
        """Write an object whole and return its version; what is longer than a piece goes by a session."""
        pieces = as_pieces(data, PIECE)
        first = await anext(pieces, b"")
        second = await anext(pieces, None)
        if second is None:
            return await self._bucket.put(check_path(path), first, content_type, if_version=if_version)
        whole = rejoin(first, second, pieces)
        return await self._write_long(check_path(path), whole, content_type, if_version)

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
        """Sign permission for a client to PUT `path`; above `session_over` bytes a resumable session."""
        at = now or self._now()
        headers = {"Content-Type": content_type} if content_type else {}
        if size is not None:
            headers["x-goog-content-length-range"] = f"{size},{size}"
            headers["x-goog-if-generation-match"] = "0"
        expires_at = (at + expires_in).replace(microsecond=0).astimezone(UTC)
        if size is not None and size > self._session_over:
            url = await self._start_session(path, headers, origin)
            return PresignedUpload(url, {}, expires_at, chunk_bytes=CHUNK)
        url = await self._sign(path, "PUT", at=at, expires_in=expires_in, headers=headers)
        return PresignedUpload(url, headers, expires_at)

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
        query = {} if disposition is None else {"response-content-disposition": disposition}
        return await self._sign(path, method, at=now or self._now(), expires_in=expires_in, query=query)

    async def describe_bucket(self) -> JsonObject:
        """Return `cors` and `lifecycle` as the bucket has them; `StoreError` where they may not be seen."""
        return await self.api.call("GET", "", {"fields": "cors,lifecycle"})

    async def get_url(self, path: str) -> str:
        """Return the permanent URL of `path`."""
        return self._addresses.url(path)

    async def delete(self, path: str, *, if_version: Version | None = None) -> None:
        """Remove an object; one that is not there is no error. Without a version it is asked for first."""
        if if_version is None or if_version == ABSENT:
            await self._bucket.delete(
                check_path(path), if_version=if_version, delete=lambda found: self.api.delete(path, found)
            )
        else:
            with suppress(ObjectNotFound):
                await self.api.delete(check_path(path), _generation(if_version))

    async def list(self, prefix: str) -> list[MediaObject]:
        """Return the objects whose path starts with `prefix`, by path."""
        return sorted([item async for item in self.walk(prefix)], key=lambda item: item.path)

    async def walk(self, prefix: str) -> AsyncIterator[MediaObject]:
        """Yield the same objects, a thousand a request; see `Store`."""
        async for item in self.api.walk(prefix):
            yield item

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
        await self.api.aclose()

    async def _write_long(
        self, path: str, pieces: AsyncIterator[bytes], content_type: str, if_version: Version | None
    ) -> Version:
        generation = "0" if if_version == ABSENT else if_version
        url = await self.api.start_session(
            path,
            content_type or ANY_TYPE,
            metadata={WRITE_MARK: uuid4().hex},
            if_generation=None if generation is None else _generation(generation),
        )
        return Version((await Session(self.api, url).send(pieces))["generation"])

    async def _start_session(self, path: str, headers: dict[str, str], origin: str | None) -> str:
        """Start a session by a signed POST; Google lets a browser go on with it from `origin` only."""
        headers = {**headers, "x-goog-resumable": "start"}
        signed = await self._sign(path, "POST", at=self._now(), expires_in=UPLOAD_TTL, headers=headers)
        sent = headers if origin is None else {**headers, "Origin": origin}

        async def once() -> str:
            answer = await send(self.api.web, "POST", signed, headers={**sent, "Content-Length": "0"})
            check(answer)
            return answer.headers["location"]

        return await self._patience.run(once)

    async def _sign(
        self,
        path: str,
        method: str,
        *,
        at: datetime,
        expires_in: timedelta,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> str:
        address = urlsplit(self._url)
        request = UrlRequest(
            bucket=self._name,
            name=check_path(path),
            method=method,
            at=at,
            expires_in=expires_in,
            headers=headers or {},
            query=query or {},
            host=address.netloc,
            scheme=address.scheme,
        )
        unsigned = prepare(request, email=await self._credentials.email())
        return unsigned.url(await self._credentials.sign(unsigned.to_sign))

    async def _obstore_token(self) -> GCSCredential:
        token = await self._credentials.token()
        return {"token": token.text, "expires_at": token.expires_at}

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)


class GcsDialect:
    """A version is the generation, and every request can be held to one."""

    def version(self, meta: ObjectMeta, mark: str) -> Version:  # noqa: ARG002 - generations are unique
        if (generation := meta["version"]) is None:
            raise StoreError("The store gave no generation.")
        return Version(generation)

    def write_mode(self, version: Version) -> Any:
        return {"version": _generation(version)}

    def read_options(self, version: Version) -> dict[str, Any]:
        if not version.isdecimal():
            raise NotThere
        return {"version": version}


def _generation(version: str) -> str:
    if not version.isdecimal():
        raise PreconditionFailed("The version that was expected is none of this store.")
    return version
