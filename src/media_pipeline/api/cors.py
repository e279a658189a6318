"""Which pages may call the API: exact origins, never with cookies. `/storage/` answers for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from media_pipeline.api.detached import Headers
from media_pipeline.api.limits import STREAMED
from media_pipeline.api.rates import NAMES

EXPOSED: Final = ("Location", "Retry-After", *NAMES)


class ApiCors(CORSMiddleware):
    """Allow `origins` to use every endpoint with a Bearer token."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=EXPOSED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(STREAMED):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def page_headers(origins: Sequence[str]) -> Mapping[bytes, Headers]:
    """Return what `ApiCors` adds to an answer for a page of each origin, and for `b""`, who names none."""
    vary = (b"vary", b"Origin")
    expose = (b"access-control-expose-headers", ", ".join(EXPOSED).encode())
    named = {
        origin.encode("latin-1"): (expose, (b"access-control-allow-origin", origin.encode("latin-1")), vary)
        for origin in origins
    }
    return {b"": (vary,) if origins else (), **named}
