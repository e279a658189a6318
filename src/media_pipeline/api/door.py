"""The short way in for event streams: past the framework, whose layers a stream would keep for life.

A `GET /events` of all jobs with a valid token, also from a page of `CORS_ORIGINS`, is opened here: on the
connection itself where the server gives it away, else on the server's own `send`. Everything else, and each
stream that has to be refused, goes through the application, which gives the same answer as ever: this door
changes what a stream costs, not what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from media_pipeline.api.auth import Identity, Tokens
from media_pipeline.api.cors import page_headers
from media_pipeline.api.detached import EXTENSION, Detachable
from media_pipeline.api.rates import rate_headers
from media_pipeline.api.routes.events import EventStream
from media_pipeline.api.stream_token import TokenPlace, move_token
from media_pipeline.errors import MediaPipelineError
from media_pipeline.media.limits import RequestRate
from media_pipeline.realtime.bus import BusError
from media_pipeline.realtime.hub import Hub, Snapshot, TooManyStreams

PATH: Final = "/events"
_BEARER: Final = b"bearer "


class StreamDoor:
    """An ASGI application before `app`."""

    def __init__(
        self,
        app: ASGIApp,
        hub: Hub,
        tokens: Tokens,
        *,
        snapshot: Snapshot,
        rate: RequestRate | None = None,
        place: TokenPlace = "header",
        origins: Sequence[str] = (),
    ) -> None:
        self._app = app
        self._hub = hub
        self._tokens = tokens
        self._rate = rate
        self._snapshot = snapshot
        self._place: TokenPlace = place
        self._pages = page_headers(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _asks_for_stream(scope):
            await self._app(scope, receive, send)
            return
        scope = move_token(scope, self._place)
        if (stream := await self._recognise(scope)) is not None:
            try:
                if (server := _detachable(scope)) is not None:
                    await stream.detach(server)
                else:
                    await stream(scope, receive, send)
            except (TooManyStreams, BusError):
                pass  # refused before a byte was sent: the application says so
            else:
                return
        await self._app(scope, receive, send)

    async def _recognise(self, scope: Scope) -> EventStream | None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        query = _read_query(scope["query_string"])
        page = self._pages.get(headers.get(b"origin", b""))
        # A page that may not read the answer is not ours to answer; one job needs a look into the queue.
        if page is None or (query and query.keys() - {"lastEventId"}):
            return None
        caller = self._identify(headers.get(b"authorization", b""))
        since = headers.get(b"last-event-id", b"").decode("latin-1") or query.get("lastEventId") or None
        if caller is None or "read" not in caller.scopes:
            return None
        try:
            counted = await self._rate.take(caller.user_id) if self._rate and self._rate.limited else None
        except MediaPipelineError:
            return None
        scope.setdefault("state", {})["counted"] = standings = [counted] if counted else []
        told = (*page, *rate_headers(standings))
        return EventStream(
            self._hub, caller, snapshot=self._snapshot, job_id=None, since=since, more_headers=told
        )

    def _identify(self, authorization: bytes) -> Identity | None:
        if authorization[: len(_BEARER)].lower() != _BEARER:
            return None
        return self._tokens.verify(authorization[len(_BEARER) :].decode("latin-1"))


def _read_query(query: bytes) -> dict[str, str]:
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}


def _asks_for_stream(scope: Scope) -> bool:
    return (scope["type"], scope.get("path"), scope.get("method")) == ("http", PATH, "GET")


def _detachable(scope: Scope) -> Detachable | None:
    server: Detachable | None = scope.get("extensions", {}).get(EXTENSION)
    return server if server is not None and server.may_detach() else None
