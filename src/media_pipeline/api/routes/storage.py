"""`/storage/`: the bytes of a store that this service serves itself, without a Bearer token.

A write carries its permission in its URL and is refused before its body is read where that is
possible. A read is for any page: what a browser could run is only ever an attachment, in a sandbox.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.requests import ClientDisconnect

from media_pipeline.api.problems import STATUS_BY_CODE, Problem, documented
from media_pipeline.storage.disposition import disposition
from media_pipeline.storage.ranges import ByteRange, Extent, is_unchanged, may_use_range, parse_range
from media_pipeline.storage.served import ANY_TYPE, ServedStore
from media_pipeline.storage.store import (
    InvalidPath,
    MediaObject,
    ObjectNotFound,
    PreconditionFailed,
    StoreError,
)
from media_pipeline.storage.tickets import Refusal, TicketRefused

OnProgress = Callable[[str, int, int | None], Awaitable[None]]
"""Told the path, the bytes that have arrived and, where known, how many will; must not raise."""

Standing = Literal["open", "closed", "gone"]
"""Of an address: it may take bytes, it has had them, or what was there was removed for good."""

GONE: Final = "This object was removed for good."

StandingOf = Callable[[str], Awaitable[Standing]]

_READ_ATTEMPTS: Final = 3
_MAX_ASKED_HEADERS: Final = 32
_ASKABLE_HEADER: Final = re.compile(r"content-type|range|x-[a-z0-9-]{1,64}")
_CONTENT_TYPE: Final = re.compile(r"[!#$&^_.+a-z0-9-]+/[!#$&^_.+a-z0-9-]+( *;[ -~]*)?", re.IGNORECASE)
_OPEN: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}
_CLOSING: Final = {**_OPEN, "Connection": "close"}
"""For refused writes: the unread body would otherwise be read and thrown away."""

# the browser's own viewer of a picture or film is a page, made of that file and some inline style
_POLICY: Final = "default-src 'none'; sandbox; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
_REFUSED: Final[Mapping[Refusal, int]] = {
    Refusal.SIGNATURE: 403,
    Refusal.EXPIRED: 403,
    Refusal.TYPE: 415,
    Refusal.SIZE: 400,
    Refusal.TOO_LARGE: 413,
}


def storage_routes(store: ServedStore, *, on_progress: OnProgress, standing: StandingOf) -> APIRouter:
    """Serve `store` at `/storage/{path}`."""
    served = _Storage(store, on_progress=on_progress, standing=standing)
    router = APIRouter(prefix="/storage", tags=["storage"], default_response_class=Response)
    path = "/{path:path}"
    read = documented(404, 410, 503)
    written = documented(400, 403, 404, 410, 412, 413, 415, 503, 507)
    body = {"requestBody": {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}}
    router.add_api_route(
        path, served.get, methods=["GET"], name="read_object", responses={**read, **documented(416)}
    )
    router.add_api_route(path, served.get, methods=["HEAD"], name="describe_object", responses=read)
    router.add_api_route(
        path, served.put, methods=["PUT"], name="write_object", responses=written, openapi_extra=body
    )
    router.add_api_route(path, served.options, methods=["OPTIONS"], include_in_schema=False)
    return router


class _Storage:
    def __init__(self, store: ServedStore, *, on_progress: OnProgress, standing: StandingOf) -> None:
        self._store = store
        self._on_progress = on_progress
        self._standing = standing

    async def get(self, request: Request, path: str) -> Response:
        """Send an object, a range of it, or its headers alone."""
        with _as_problem(_OPEN):
            for _ in range(_READ_ATTEMPTS):
                with suppress(PreconditionFailed):  # replaced between two looks: look again
                    return await self._answer(request, path)
            raise StoreError("The object is being replaced; ask again.")

    async def put(self, request: Request, path: str) -> Response:
        """Take the bytes that a signed URL allows."""
        with _as_problem(_CLOSING):
            item = await self._receive(request, path)
        return Response(headers={**_OPEN, "ETag": _etag(item)})

    async def options(self, request: Request) -> Response:
        """Answer a browser's question before a PUT or a ranged GET from another origin."""
        asked = request.headers.get("access-control-request-headers", "").lower().split(",")
        names = [name.strip() for name in asked[:_MAX_ASKED_HEADERS]]
        allowed = ["content-type", "range", *filter(_ASKABLE_HEADER.fullmatch, names)]
        headers = {
            **_OPEN,
            "Access-Control-Allow-Methods": "GET, HEAD, PUT",
            "Access-Control-Allow-Headers": ", ".join(dict.fromkeys(allowed)),
            "Access-Control-Max-Age": "3600",
        }
        return Response(status_code=204, headers=headers)

    async def _answer(self, request: Request, path: str) -> Response:
        item = await self._find(path)
        etag = _etag(item)
        if is_unchanged(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers={**_OPEN, "ETag": etag, "Cache-Control": "no-cache"})
        if request.method == "HEAD":
            return Response(headers={**_describe(item), "Content-Length": str(item.size)})
        return await self._send(item, _extent(request, item))

    async def _find(self, path: str) -> MediaObject:
        try:
            return await self._store.stat(path)
        except ObjectNotFound:
            if await self._standing(path) == "gone":
                raise _gone(_OPEN) from None
            raise

    async def _send(self, item: MediaObject, extent: Extent) -> Response:
        if extent == "unsatisfiable":
            raise Problem(
                416,
                "range_unsatisfiable",
                f"The object has {item.size} bytes, none of them in the range.",
                headers={**_OPEN, "Content-Range": f"bytes */{item.size}"},
            )
        part = extent if isinstance(extent, ByteRange) else ByteRange(0, item.size)
        chunks = self._store.stream(item.path, start=part.start, end=part.end, version=item.version)
        first = await anext(chunks, b"")
        headers = {**_describe(item), "Content-Length": str(part.end - part.start)}
        if extent == "whole":
            return StreamingResponse(_rejoin(first, chunks), headers=headers)
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{item.size}"
        return StreamingResponse(_rejoin(first, chunks), 206, headers)

    async def _receive(self, request: Request, path: str) -> MediaObject:
        length = _content_length(request)
        kind = request.headers.get("content-type", "")
        ticket = self._store.admit(path, request.query_params, content_type=kind, content_length=length)
        await self._refuse_late(path)
        total = ticket.size if length is None else length

        async def on_bytes(loaded: int) -> None:
            await self._on_progress(path, loaded, total)

        return await self._store.receive(ticket, self._in_time(request, path), on_bytes=on_bytes)

    async def _in_time(self, request: Request, path: str) -> AsyncIterator[bytes]:
        """Yield the body; an upload that ended meanwhile is refused before its bytes are published."""
        async for chunk in request.stream():
            yield chunk
        await self._refuse_late(path)

    async def _refuse_late(self, path: str) -> None:
        """What was looked into must stay what it was, though its URL may still be good."""
        match await self._standing(path):
            case "gone":
                raise _gone(_CLOSING)
            case "closed":
                sentence = "This upload is over; begin a new one."
                raise Problem(409, "upload_closed", sentence, headers=_CLOSING)
            case "open":
                return


def _gone(headers: Mapping[str, str]) -> Problem:
    return Problem(410, "object_gone", GONE, headers=headers)


@contextmanager
def _as_problem(headers: Mapping[str, str]) -> Iterator[None]:
    try:
        yield
    except TicketRefused as error:
        raise Problem(_REFUSED[error.reason], error.reason, str(error), headers=headers) from error
    except InvalidPath as error:
        raise Problem(404, ObjectNotFound.code, str(error), headers=headers) from error
    except StoreError as error:
        raise Problem(STATUS_BY_CODE[error.code], error.code, str(error), headers=headers) from error
    except ClientDisconnect as error:
        raise Problem(400, "upload_interrupted", "The upload broke off.", headers=headers) from error


async def _rejoin(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _extent(request: Request, item: MediaObject) -> Extent:
    usable = may_use_range(request.headers.get("if-range"), _etag(item))
    return parse_range(request.headers.get("range") if usable else None, item.size)


def _content_length(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def _etag(item: MediaObject) -> str:
    return f'"{item.version}"'


def _describe(item: MediaObject) -> dict[str, str]:
    kind = item.content_type if _CONTENT_TYPE.fullmatch(item.content_type) else ANY_TYPE
    return {
        **_OPEN,
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",  # the path may be written again; the tag makes asking cheap
        "Content-Disposition": disposition(item.path, item.content_type),
        "Content-Security-Policy": _POLICY,
        "Content-Type": kind,
        "ETag": _etag(item),
    }
