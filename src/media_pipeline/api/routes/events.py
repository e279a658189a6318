"""`GET /events`: a user's events, live, as server-sent events.

The response writes itself: no generator, no thread, no task for each event. What a stream carries and
when it ends is the hub's; here are only HTTP's questions and the watch for a reader who leaves.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Header, Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from media_pipeline.api.auth import Identity, Reader
from media_pipeline.api.detached import Detachable, Detached, Headers
from media_pipeline.api.problems import documented
from media_pipeline.ids import JobId
from media_pipeline.realtime.bus import BusError
from media_pipeline.realtime.connection import Connection, Outlet
from media_pipeline.realtime.hub import Hub, Snapshot
from media_pipeline.realtime.push import AsgiPush

HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    # `no-transform` keeps proxies from compressing, which buffers; `x-accel-buffering` is nginx's switch.
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
)

JobQuery = Annotated[
    JobId | None,
    Query(
        alias="jobId", max_length=64, description="Only this job; without a position, its state so far first."
    ),
]
PositionQuery = Annotated[
    str | None, Query(alias="lastEventId", description="A position, for who cannot send the header.")
]
PositionHeader = Annotated[
    str | None, Header(alias="Last-Event-ID", description="The position of the last event received.")
]


def events_routes(hub: Hub, *, snapshot: Snapshot) -> APIRouter:
    """Build the route; `snapshot` reads a job's state events so far."""
    router = APIRouter(tags=["events"])

    @router.get(
        "/events",
        summary="Follow what happens",
        status_code=200,
        response_class=EventStream,
        response_model=None,
        responses={**documented(401, 404, 422, 429, 503), 200: {"description": DESCRIPTION}},
    )
    async def follow(
        caller: Reader,
        job_id: JobQuery = None,
        position: PositionHeader = None,
        asked_position: PositionQuery = None,
    ) -> Response:
        # A browser that reconnects repeats the address it was given and adds the newer header.
        since = position or asked_position or None
        return EventStream(hub, caller, snapshot=snapshot, job_id=job_id, since=since)

    return router


DESCRIPTION: Final = (
    "A stream of server-sent events: `ready` or what was missed since the position, then every event of the "
    "caller as it happens. Events that change state carry an `id:`, to come back with."
)


class EventStream(Response):
    """A response that is a hub connection for as long as it lasts."""

    media_type = "text/event-stream"

    def __init__(
        self,
        hub: Hub,
        caller: Identity,
        *,
        snapshot: Snapshot,
        job_id: JobId | None,
        since: str | None,
        more_headers: Headers = (),
    ) -> None:
        self.status_code = 200
        self.background = None
        self.raw_headers = [*HEADERS, *more_headers]
        self._hub = hub
        self._caller = caller
        self._snapshot = snapshot
        self._job_id = job_id
        self._since = since

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        outlet = AsgiPush(send)
        connection = await self._connect(outlet)
        outlet.resumed = connection.resume
        try:
            begun = await self._begin(connection)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            _start(connection, begun=begun)
            await outlet.watch(receive)
        finally:
            connection.close()
            await outlet.aclose()

    async def detach(self, server: Detachable) -> None:
        """Answer on the connection itself, which is the stream's from now on; return when it has begun."""
        outlet = Detached()
        connection = outlet.connection = await self._connect(outlet)
        if not server.may_detach():  # its reader left meanwhile
            connection.close()
            return
        server.detach(outlet, tuple(self.raw_headers))
        try:
            _start(connection, begun=await self._begin(connection))
        except BaseException:
            connection.abort("failed")
            raise

    async def _connect(self, outlet: Outlet) -> Connection:
        caller = self._caller
        return await self._hub.connect(outlet, user_id=caller.user_id, expires_at=caller.expires_at)

    async def _begin(self, connection: Connection) -> bool:
        """Gather what goes out first, in one write with the head; False where the bus is away."""
        if self._job_id is not None:
            # A job may be unknown, which is said by a status.
            await self._hub.begin_job(connection, self._job_id, snapshot=self._snapshot, since=self._since)
            return True
        try:
            await self._hub.begin(connection, since=self._since)
        except BusError:
            return False
        return True


def _start(connection: Connection, *, begun: bool) -> None:
    connection.start()
    if not begun:
        # Not a status: a browser comes back after the end of a stream, and never after an error.
        connection.end("bus_unavailable")
