"""Amazon's S3 API, as far as obstore does not go: signed URLs, conditional deletes and multipart uploads.

Guarantee: what is tried again is safe to be. The last step of a multipart upload is: it either makes
the object or finds its upload gone, and then the object's mark tells whether it was this one.
Reference: https://docs.aws.amazon.com/AmazonS3/latest/API.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from html import escape, unescape
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2

from media_pipeline.clock import Clock
from media_pipeline.storage.bucket import ANY_TYPE, WRITE_MARK
from media_pipeline.storage.checksums import content_md5
from media_pipeline.storage.disposition import disposition
from media_pipeline.storage.patience import Patience
from media_pipeline.storage.sigv4 import AwsKey, S3Request, presign
from media_pipeline.storage.store import ObjectNotFound, PreconditionFailed, StoreError
from media_pipeline.storage.web import check, open_web, send

_LIFE: Final = timedelta(minutes=15)
_CODE: Final = re.compile(r"<Code>([^<]*)")
_MARK: Final = f"x-amz-meta-{WRITE_MARK}"


class S3Api:
    """One bucket at `base`, its own address; every request is a signed URL."""

    def __init__(
        self, base: str, key: AwsKey, *, region: str, patience: Patience, clock: Clock, timeout: float
    ) -> None:
        self._base = urlsplit(base)
        self._key = key
        self._region = region
        self._patience = patience
        self._clock = clock
        self._web = open_web(timeout)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._web.aclose()

    def sign(
        self,
        method: str,
        path: str,
        *,
        at: datetime,
        expires_in: timedelta = _LIFE,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        """Return a signed URL of an object, or of the bucket where `path` is empty."""
        request = S3Request(
            method=method,
            path=f"{self._base.path}/{path}",
            at=at,
            expires_in=expires_in,
            region=self._region,
            host=self._base.netloc,
            scheme=self._base.scheme,
            headers=headers or {},
            query=query or {},
        )
        return presign(request, self._key)

    async def pages_under(self, prefix: str) -> AsyncIterator[list[str]]:
        """Yield the paths that start with `prefix`, a thousand at a time."""
        query = {"list-type": "2", "prefix": prefix}
        while True:
            text = (await self._call("GET", "", query=query)).text
            yield [unescape(key) for key in re.findall(r"<Key>([^<]*)</Key>", text)]
            token = re.search(r"<NextContinuationToken>([^<]*)<", text)
            if token is None:
                return
            query["continuation-token"] = unescape(token[1])

    async def delete(self, path: str, tag: str) -> None:
        """Remove the object with this entity tag."""
        await self._call("DELETE", path, headers={"If-Match": tag})

    async def tag_is_md5(self, path: str) -> bool:
        """Tell whether the tag of an object in one piece is its MD5; under a key of KMS it is none."""
        headers = (await self._call("HEAD", path)).headers
        return not headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")

    async def upload_parts(
        self, path: str, pieces: AsyncIterator[bytes], content_type: str, *, condition: Mapping[str, str]
    ) -> None:
        """Write an object in parts; `condition` holds for the moment when it appears."""
        mark = uuid4().hex
        headers = {
            "Content-Type": content_type or ANY_TYPE,
            "Content-Disposition": disposition(path, content_type),
            _MARK: mark,
        }
        begun = await self._call("POST", path, query={"uploads": ""}, headers=headers)
        upload = unescape(_find(r"<UploadId>([^<]*)", begun.text))
        try:
            tags = [tag async for tag in self._send_parts(path, upload, pieces)]
            await self._complete(path, upload, tags, condition=condition, mark=mark)
        except BaseException:
            with suppress(StoreError):
                await self._call("DELETE", path, query={"uploadId": upload})
            raise

    async def _send_parts(self, path: str, upload: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
        number = 0
        async for piece in pieces:
            number += 1
            query = {"partNumber": str(number), "uploadId": upload}
            headers = {"Content-MD5": await content_md5(piece)}
            answer = await self._call("PUT", path, query=query, headers=headers, content=piece)
            yield answer.headers["etag"]

    async def _complete(
        self, path: str, upload: str, tags: list[str], *, condition: Mapping[str, str], mark: str
    ) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"
            for number, tag in enumerate(tags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        try:
            answer = await self._call(
                "POST", path, query={"uploadId": upload}, headers=condition, content=body
            )
        except (ObjectNotFound, PreconditionFailed) as error:
            if await self._mark_at(path) == mark:
                return  # an earlier try had done it, and its answer was lost
            raise PreconditionFailed("The object is not the version that was expected.") from error
        if "<Error>" in answer.text:
            raise StoreError(f"The store refused: {_find(_CODE.pattern, answer.text)}.")

    async def _mark_at(self, path: str) -> str:
        with suppress(ObjectNotFound):
            return str((await self._call("HEAD", path)).headers.get(_MARK, ""))
        return ""

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx2.Response:
        async def once() -> httpx2.Response:
            now = datetime.fromtimestamp(self._clock.now(), UTC)
            url = self.sign(method, path, at=now, headers=headers, query=query)
            answer = await send(self._web, method, url, headers=headers, content=content)
            check(answer)
            return answer

        return await self._patience.run(once)


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise StoreError("The store gave an answer that cannot be read.")
    return found[1]
