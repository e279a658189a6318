"""The studio: a page that shows everything the service can do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from pydantic import BaseModel

from media_pipeline.api.auth import Tokens
from media_pipeline.api.problems import Problem, documented
from media_pipeline.ids import UserId
from media_pipeline.settings import is_loopback

USER: Final = UserId("studio")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
    "img-src 'self' data: blob: http: https:; media-src 'self' blob: http: https:; "
    "connect-src 'self' http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FORWARDED: Final = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})
"""Who sends these is a proxy, and stands for people who are not on this machine."""
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_UNBUILT: Final = (
    "<!doctype html><title>Media Pipeline</title><p>The service runs; its page was not built. "
    "Run <code>make dev</code>, or see <a href='/docs'>the API</a>."
)


class StudioToken(BaseModel):
    """A development token for the page."""

    token: str
    user: str


def studio_routes(folder: Path | None, tokens: Tokens | None) -> APIRouter:
    """Serve the built page in `folder`; give it a token where `tokens` is given (development)."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page() -> Response:
        if folder is None:
            return HTMLResponse(_UNBUILT, headers=_HEADERS)
        return FileResponse(folder / "index.html", headers={**_HEADERS, "Cache-Control": "no-cache"})

    @router.get("/assets/{name}")
    @router.get("/{name}.svg")
    async def asset(request: Request, name: str) -> Response:
        file = _find(folder, request.scope["path"].lstrip("/"))
        if file is None:
            raise Problem(404, "not_found", f"The studio has no file {name!r}.")
        return FileResponse(file, headers={**_HEADERS, **_FOREVER})

    @router.get("/studio/token", responses=documented(403, 404))
    async def token(request: Request) -> StudioToken:
        if tokens is None:
            raise Problem(404, "not_found", "This service does not make tokens; bring your own.")
        if not _is_own_page(request):
            raise Problem(403, "forbidden", "Only the studio page of this service may ask for its token.")
        return StudioToken(token=tokens.issue(USER), user=USER)

    return router


def _find(folder: Path | None, name: str) -> Path | None:
    """Return a file of the built page; None for anything that is not one."""
    if folder is None:
        return None
    file = (folder / name).resolve()
    return file if file.is_relative_to(folder.resolve()) and file.is_file() else None


def _is_own_page(request: Request) -> bool:
    """Tell whether a page of this very service asks, on this machine (no rebinding, no other site)."""
    if _FORWARDED.intersection(request.headers):
        return False
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0].strip("[]") if ":" in host else host
    if not is_loopback(name):
        return False
    origin = request.headers.get("origin")
    if origin is not None:
        return origin == f"{request.url.scheme}://{host}"
    return request.headers.get("sec-fetch-site") == "same-origin"
