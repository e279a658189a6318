"""What both of the fake's APIs share: requests, answers, media, and sessions that go on."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final

from .gcs_objects import CHUNK, Body, Json, Objects, Refused, Session, Stored, changed, check_length
from .gcs_signature import Asked

_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
_ANYTHING: Final = (0, 5 * 1024**4)
BUCKET_BYTES: Final = 65536


@dataclass(slots=True)
class Answer:
    """What is sent back."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | memoryview = b""


@dataclass(slots=True)
class Request:
    """A request with its body still to come; `body` yields it piece by piece, read once."""

    asked: Asked
    path: list[str]
    origin: str
    body: AsyncIterator[bytes]

    @property
    def query(self) -> dict[str, str]:
        return self.asked.query

    def header(self, name: str, default: str = "") -> str:
        return self.asked.header(name, default)

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.body])

    async def json(self) -> Json:
        loaded = json.loads(await self.read() or b"{}")
        assert isinstance(loaded, dict)
        return loaded


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    body = json.dumps(value, ensure_ascii=False).encode()
    return Answer(status, {"Content-Type": "application/json; charset=UTF-8", **(headers or {})}, body)


def json_error(error: Refused) -> Answer:
    detail = {"message": str(error), "domain": "global", "reason": error.reason}
    return as_json({"error": {"code": error.status, "message": str(error), "errors": [detail]}}, error.status)


def xml_error(error: Refused) -> Answer:
    text = (
        "<?xml version='1.0' encoding='UTF-8'?>"
        f"<Error><Code>{error.code}</Code><Message>{error}</Message></Error>"
    )
    return Answer(error.status, {"Content-Type": "application/xml; charset=UTF-8"}, text.encode())


async def receive_body(request: Request, lengths: tuple[int, int]) -> Body:
    """Take a whole body, refusing it as soon as its length is known to be wrong."""
    if declared := request.header("content-length"):
        check_length(int(declared), lengths)
    body = Body()
    async for chunk in request.body:
        body.add(chunk)
        check_length(len(body.data), (0, lengths[1]))
    check_length(len(body.data), lengths)
    return body


def media(request: Request, stored: Stored) -> Answer:
    """Answer with the bytes of an object or of one range of it."""
    query, view = request.query, memoryview(stored.body.data)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": query.get("response-content-type", stored.content_type),
        "ETag": stored.etag,
        "Last-Modified": formatdate(stored.created, usegmt=True),
        "x-goog-generation": str(stored.generation),
        "x-goog-metageneration": str(stored.metageneration),
        "x-goog-hash": f"crc32c={stored.body.crc32c},md5={stored.body.md5_text}",
        "x-goog-stored-content-length": str(stored.size),
        "x-goog-stored-content-encoding": "identity",
        "Cache-Control": stored.fields.get("cacheControl", "private, max-age=0"),
        **{f"x-goog-meta-{name}": value for name, value in stored.metadata.items()},
    }
    disposition = query.get("response-content-disposition") or stored.fields.get("contentDisposition")
    if disposition:
        headers["Content-Disposition"] = disposition
    asked = _RANGE.fullmatch(request.header("range"))
    if asked is None or asked[0] == "bytes=-":
        return Answer(200, headers, view)
    first = int(asked[1]) if asked[1] else max(0, stored.size - int(asked[2]))
    last = min(int(asked[2]), stored.size - 1) if asked[1] and asked[2] else stored.size - 1
    if first >= stored.size or last < first:
        headers["Content-Range"] = f"bytes */{stored.size}"
        raise Unsatisfiable(headers)
    headers["Content-Range"] = f"bytes {first}-{last}/{stored.size}"
    return Answer(206, headers, view[first : last + 1])


class Unsatisfiable(Refused):
    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__(416, "InvalidRange", "requestedRangeNotSatisfiable", "The range is not there.")
        self.headers = headers


def check_generation(request: Request, stored: Stored) -> None:
    """Hold a read to the generation that it names."""
    wanted = request.query.get("generation", str(stored.generation))
    if wanted != str(stored.generation):
        raise Refused(404, "NoSuchKey", "notFound", f"No such object: generation {wanted}")
    matches = request.header("x-goog-if-generation-match") or request.query.get("ifGenerationMatch", "")
    if matches and matches != str(stored.generation):
        raise changed()


async def continue_session(request: Request, objects: Objects, session: Session) -> Answer:
    """Answer a PUT to a session URL: a chunk, the whole, or the question how far it is."""
    spoken = _CONTENT_RANGE.fullmatch(request.header("content-range"))
    if request.header("content-range") and spoken is None:
        raise Refused(400, "InvalidArgument", "badRequest", "Content-Range cannot be read.")
    if session.done is not None:
        return _finished(request, session)
    if spoken and spoken[1] is None:
        await request.read()
        if spoken[3] != "*" and int(spoken[3]) == len(session.body.data):
            objects.finish(session, request.header("x-goog-hash"))
            return _finished(request, session)
        return _incomplete(session)
    start = int(spoken[1]) if spoken else 0
    if start > len(session.body.data):
        await request.read()
        raise Refused(503, "ServiceUnavailable", "backendError", "The offset is past what is persisted.")
    final = spoken is None or spoken[3] != "*"
    declared = int(spoken[2]) + 1 - start if spoken else int(request.header("content-length") or -1)
    total = int(spoken[3]) if spoken and spoken[3] != "*" else None
    last = (total is None and final) or total == start + declared
    if not last and declared % CHUNK:
        raise Refused(400, "InvalidArgument", "badRequest", "A chunk must be a multiple of 256 KiB.")
    check_length(total if total is not None else start + max(declared, 0), (0, session.lengths[1]))
    await _take(request, session, start)
    if last and declared in {-1, len(session.body.data) - start}:
        objects.finish(session, request.header("x-goog-hash"))
        return _finished(request, session)
    return _incomplete(session)


async def _take(request: Request, session: Session, start: int) -> None:
    """Persist what is new; what breaks off is kept to a multiple of 256 KiB."""
    skip = len(session.body.data) - start
    rest = bytearray()
    async for chunk in request.body:
        rest += chunk[skip:] if skip else chunk
        skip = max(0, skip - len(chunk))
        whole = len(rest) // CHUNK * CHUNK
        if whole:
            session.body.add(bytes(rest[:whole]))
            del rest[:whole]
    session.body.add(bytes(rest))


def _incomplete(session: Session) -> Answer:
    held = len(session.body.data)
    headers = {"Range": f"bytes=0-{held - 1}"} if held else {}
    return Answer(308, {**headers, "X-GUploader-UploadID": session.id})


def _finished(request: Request, session: Session) -> Answer:
    assert session.done is not None
    stored = session.done
    headers = {"ETag": stored.etag, "x-goog-generation": str(stored.generation)}
    headers["x-goog-hash"] = f"crc32c={stored.body.crc32c},md5={stored.body.md5_text}"
    return as_json(stored.describe(request.origin), headers=headers)
