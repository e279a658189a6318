"""Which pages may call the API: exact origins, never with cookies. `/storage/` answers for itself."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from media_pipeline.api.limits import STREAMED


class ApiCors(CORSMiddleware):
    """Allow `origins` to use every endpoint with a Bearer token."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["Location", "Retry-After"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(STREAMED):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
