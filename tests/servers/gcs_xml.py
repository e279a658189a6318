"""The fake's XML API: objects by their URL, signed or with a token."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

from .gcs_http import Answer, Request, check_generation, continue_session, media, receive_body
from .gcs_objects import Objects, Refused, Session, Stored, new_id
from .gcs_signature import ServiceAccount, is_signed

_ANYTHING: Final = (0, 5 * 1024**4)


class XmlApi:
    """Objects by their URL; every request is signed or carries a token."""

    def __init__(self, objects: Objects, account: ServiceAccount) -> None:
        self._objects = objects
        self._account = account

    def locate(self, request: Request) -> tuple[str, str]:
        """Return bucket and object, from a path, a virtual host or a bucket-bound host."""
        host = request.header("host").partition(":")[0]
        path = unquote(request.asked.raw_path.decode("latin-1")).removeprefix("/")
        bucket = self._objects.hosts.get(host) or host.partition(".")[0]
        if host in self._objects.hosts or ("." in host and bucket in self._objects.buckets):
            return bucket, path
        bucket, _, name = path.partition("/")
        return bucket, name

    async def answer(self, request: Request) -> Answer:
        bucket, name = self.locate(request)
        if request.asked.method == "OPTIONS":
            return Answer(200)
        held = self._objects.bucket(bucket)
        if "upload_id" in request.query:
            return await self._continue(request)
        if is_signed(request.asked):
            self._account.check_signature(request.asked, datetime.now(UTC))
        elif not (held.public and request.asked.method in {"GET", "HEAD"}):
            self._account.check_bearer(request.asked)
        return await self._object(request, bucket, name) if name else self._list(request, bucket)

    async def _object(self, request: Request, bucket: str, name: str) -> Answer:
        match request.asked.method:
            case "PUT":
                return await self._put(request, bucket, name)
            case "POST" if request.header("x-goog-resumable") == "start":
                return self._start(request, bucket, name)
            case "DELETE":
                self._objects.delete(bucket, name, _generation(request))
                return Answer(204)
            case "GET" | "HEAD":
                stored = self._objects.find(bucket, name)
                check_generation(request, stored)
                return media(request, stored)
        raise Refused(405, "MethodNotAllowed", "methodNotAllowed")

    async def _continue(self, request: Request) -> Answer:
        """A session's URL is itself the permission to go on with it."""
        session = self._objects.session(request.query["upload_id"])
        if request.asked.method == "DELETE":
            session.cancelled = True
            raise Refused(499, "ClientClosedRequest", "clientClosedRequest")
        return await continue_session(request, self._objects, session)

    async def _put(self, request: Request, bucket: str, name: str) -> Answer:
        generation = _generation(request)
        self._objects.require(bucket, name, generation)
        body = await receive_body(request, _lengths(request))
        body.check(request.header("x-goog-hash"))
        if md5 := request.header("content-md5"):
            body.check(f"md5={md5}")
        self._objects.require(bucket, name, generation)
        kind = request.header("content-type", "application/octet-stream")
        stored = self._objects.put(Stored(bucket, name, body, kind, 0, _metadata(request), _fields(request)))
        return Answer(200, {"ETag": stored.etag, "x-goog-generation": str(stored.generation)})

    def _start(self, request: Request, bucket: str, name: str) -> Answer:
        session = self._objects.begin(
            Session(
                new_id(),
                bucket,
                name,
                request.header("content-type", "application/octet-stream"),
                request.header("origin"),
                _lengths(request),
                _generation(request),
                _metadata(request),
                _fields(request),
            )
        )
        path = request.asked.raw_path.decode("latin-1")
        return Answer(201, {"Location": f"{request.origin}{path}?upload_id={session.id}"})

    def _list(self, request: Request, bucket: str) -> Answer:
        query = request.query
        token = query.get("continuation-token", "")
        items, prefixes, after = self._objects.listing(
            bucket,
            prefix=query.get("prefix", ""),
            delimiter=query.get("delimiter", ""),
            after=base64.b64decode(token).decode() or query.get("start-after", ""),
            limit=int(query.get("max-keys", 1000)),
        )
        parts = [
            f"<Contents><Key>{_escape(item.name)}</Key><Generation>{item.generation}</Generation>"
            f"<LastModified>{datetime.fromtimestamp(item.created, UTC):%Y-%m-%dT%H:%M:%S.%fZ}</LastModified>"
            f"<ETag>{_escape(item.etag)}</ETag><Size>{item.size}</Size></Contents>"
            for item in items
        ]
        parts += [f"<CommonPrefixes><Prefix>{_escape(each)}</Prefix></CommonPrefixes>" for each in prefixes]
        if after:
            text = base64.b64encode(after.encode()).decode()
            parts.append(f"<NextContinuationToken>{text}</NextContinuationToken>")
        cut = "true" if after else "false"
        xml = (
            f"<ListBucketResult><Name>{bucket}</Name><IsTruncated>{cut}</IsTruncated>"
            f"{''.join(parts)}</ListBucketResult>"
        )
        return Answer(200, {"Content-Type": "application/xml; charset=UTF-8"}, xml.encode())


def _generation(request: Request) -> int | None:
    text = request.header("x-goog-if-generation-match")
    return int(text) if text else None


def _lengths(request: Request) -> tuple[int, int]:
    text = request.header("x-goog-content-length-range")
    if not text:
        return _ANYTHING
    first, _, last = text.partition(",")
    return int(first), int(last)


def _metadata(request: Request) -> dict[str, str]:
    return {
        name.removeprefix("x-goog-meta-"): value
        for name, value in request.asked.headers
        if name.startswith("x-goog-meta-")
    }


def _fields(request: Request) -> dict[str, str]:
    names = {"cache-control": "cacheControl", "content-disposition": "contentDisposition"}
    return {names[name]: value for name, value in request.asked.headers if name in names}


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
