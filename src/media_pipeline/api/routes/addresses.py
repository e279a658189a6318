"""`/m/`: the permanent address of an object in a bucket, answered with a redirect to a fresh signed URL.

No Bearer token: the address itself is the permission, see `storage/addresses.py`. All who ask within
`WINDOW` are sent to the same signed URL, so that caches keep the bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from media_pipeline.api.problems import Problem, documented
from media_pipeline.api.routes.storage import GONE, StandingOf
from media_pipeline.clock import Clock
from media_pipeline.storage.addresses import StableAddresses
from media_pipeline.storage.disposition import disposition
from media_pipeline.storage.store import InvalidPath, MediaObject, ObjectNotFound, SigningStore

WINDOW: Final = timedelta(hours=3)
"""Signed URLs are made as of its beginning."""

LIFE: Final = timedelta(hours=12)
"""Of a signed URL: a film may be watched that long; signatures of a keyless account hold no longer."""

MAX_AGE: Final = timedelta(hours=1)
"""How long a browser may remember a redirect; at its end the signed URL has eight hours left at least."""

_OPEN: Final = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
}
_UNKNOWN: Final = "There is no object at this address."


def addresses_routes(
    addresses: StableAddresses, store: SigningStore, *, standing: StandingOf, clock: Clock
) -> APIRouter:
    """Answer the addresses that `addresses` makes."""
    router = APIRouter(prefix="/m", tags=["storage"], default_response_class=Response)

    async def redirect(request: Request, capability: str) -> Response:
        """Send whoever has the address to the bytes; a range or a HEAD is asked there."""
        item = await _find(addresses, store, standing, capability)
        shown = disposition(item.path, item.content_type)
        now = datetime.fromtimestamp(clock.now(), UTC)
        url = await store.sign_read(
            item.path,
            expires_in=LIFE,
            now=_begin_of_window(now),
            disposition=None if shown == "inline" else shown,
            method="HEAD" if request.method == "HEAD" else "GET",
        )
        age = f"public, max-age={round(MAX_AGE.total_seconds())}"
        return Response(status_code=302, headers={**_OPEN, "Location": url, "Cache-Control": age})

    answers: dict[int | str, dict[str, Any]] = {
        302: {"description": "Where the bytes are, for some hours"},
        **documented(404, 410, 503),
    }
    for method, name in (("GET", "read_address"), ("HEAD", "describe_address")):
        router.add_api_route(
            "/{capability}", redirect, methods=[method], name=name, status_code=302, responses=answers
        )
    return router


async def _find(
    addresses: StableAddresses, store: SigningStore, standing: StandingOf, capability: str
) -> MediaObject:
    headers = {**_OPEN, "Cache-Control": "no-store"}
    try:
        path = addresses.open(capability)
    except InvalidPath as error:
        raise Problem(404, ObjectNotFound.code, _UNKNOWN, headers=headers) from error
    if await standing(path) == "gone":  # its bytes may be there for a moment more
        raise Problem(410, "object_gone", GONE, headers=headers)
    try:
        return await store.stat(path)
    except ObjectNotFound as error:
        raise Problem(404, ObjectNotFound.code, _UNKNOWN, headers=headers) from error


def _begin_of_window(now: datetime) -> datetime:
    return now - (now - datetime(1970, 1, 1, tzinfo=UTC)) % WINDOW
