"""The hub: every open stream of this process.

Guarantees that what is missed, repeated or out of order on a stream is announced by `reset` or by
the stream's end, never silent; that a slow reader costs a bounded backlog and slows nobody; and that
`aclose` ends every stream cleanly. Does not authenticate and knows no HTTP: see `api/routes/events.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import cycle
from typing import ClassVar, Final

import structlog

from media_pipeline.clock import Clock
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime import sse
from media_pipeline.realtime.bus import Bus, BusError
from media_pipeline.realtime.connection import Connection, House, Outlet, Turn
from media_pipeline.realtime.events import Event, encode_event
from media_pipeline.realtime.feed import Feed
from media_pipeline.realtime.seats import Seats
from media_pipeline.realtime.wheel import Wheel

WAITS: Final = 16
"""Into how many different waits those who come back are spread."""

Snapshot = Callable[[UserId, JobId], Awaitable[Sequence[Event]]]
"""Read a job's state events so far, in order, terminal last; `UnknownJob` if the user has no such job."""

_log = structlog.get_logger(__name__)


class UnknownJob(MediaPipelineError):
    """There is no such job, or it is another user's."""

    code: ClassVar[str] = "job_not_found"


class TooManyStreams(MediaPipelineError):
    """Too many event streams are open: close one and come back."""

    code: ClassVar[str] = "too_many_streams"
    retryable: ClassVar[bool] = True


class Hub:
    """Open streams on a bus, and keep each within its bounds.

    A reader may hold back `max_backlog_events` frames or `max_backlog_bytes`, and take no byte for
    `stall_seconds`; then its stream is dropped and it comes back with its position. Each is told to wait
    `retry_ms` before it comes back, give or take `retry_spread` of it, so that all do not come at once.
    Closes `seats` with itself.
    """

    def __init__(
        self,
        bus: Bus,
        seats: Seats,
        *,
        clock: Clock,
        ping_seconds: float = 15.0,
        max_backlog_events: int = 256,
        max_backlog_bytes: int = 128 * 1024,
        stall_seconds: float = 20.0,
        retry_ms: int = 2000,
        retry_spread: float = 0.5,
        max_streams: int = 10_000,
    ) -> None:
        self._bus = bus
        self._seats = seats
        self._clock = clock
        self._max_streams = max_streams
        self._connections: dict[Connection, None] = {}
        self._wheel = Wheel(clock, tick_seconds=min(1.0, ping_seconds / 4, stall_seconds / 4))
        self._turning: asyncio.Task[None] | None = None
        self._closed = False
        self._house = House(
            ping_seconds=ping_seconds,
            stall_seconds=stall_seconds,
            backlog_events=max_backlog_events,
            backlog_bytes=max_backlog_bytes,
            hellos=_hellos(retry_ms, retry_spread),
            monotonic=clock.monotonic,
            wheel=self._wheel,
            turn=Turn(clock.monotonic),
            leave=self._forget,
        )

    @property
    def streams(self) -> int:
        """How many streams are open now."""
        return len(self._connections)

    async def connect(
        self, outlet: Outlet, *, user_id: UserId, expires_at: float | None = None
    ) -> Connection:
        """Admit a stream that writes to `outlet` and ends at `expires_at` (Unix seconds).

        It counts from now until it is closed. `TooManyStreams` over a limit, `BusError` when stopping.
        """
        await self._admit(user_id)
        expires = None if expires_at is None else self._clock.monotonic() + expires_at - self._clock.now()
        connection = Connection(outlet, self._house, user_id=user_id, expires=expires)
        self._connections[connection] = None
        if self._turning is None:
            self._turning = asyncio.get_running_loop().create_task(self._wheel.run())
        return connection

    async def begin(self, connection: Connection, *, since: str | None = None) -> None:
        """Send `ready`, what was missed `since`, or `reset`; then whatever comes."""
        connection.attach(await self._bus.subscribe(connection.user_id, connection, since=since))

    async def begin_job(
        self, connection: Connection, job_id: JobId, *, snapshot: Snapshot, since: str | None = None
    ) -> None:
        """Begin a stream of one job; without a position, its state so far goes first.

        `UnknownJob` comes from `snapshot`, which is read after the bus was asked for what is live, so
        that nothing falls between the two.
        """
        feed = Feed(connection, job_id=job_id)
        if since is None:
            feed.hold()
        connection.attach(await self._bus.subscribe(connection.user_id, feed, since=since))
        events = await snapshot(connection.user_id, job_id)
        if since is None:
            messages = (encode_event(connection.user_id, event) for event in events)
            feed.release([message for message in messages if message.key is not None])

    async def aclose(self) -> None:
        """End every stream with a clean last chunk and admit no more; the bus stays open."""
        self._closed = True
        for connection in tuple(self._connections):
            connection.end("stopping")
        if self._turning is not None:
            self._turning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._turning
        await self._seats.aclose()

    async def _admit(self, user_id: UserId) -> None:
        self._refuse_if_full()
        if not await self._seats.take(user_id):
            raise TooManyStreams("You have too many event streams open: close one and try again.")
        try:
            self._refuse_if_full()  # once more: others came meanwhile
        except MediaPipelineError:
            self._seats.leave(user_id)
            raise

    def _refuse_if_full(self) -> None:
        if self._closed:
            raise BusError("The service is stopping: connect again in a moment.")
        if len(self._connections) >= self._max_streams:
            raise TooManyStreams("The service has as many event streams as it takes: try again in a moment.")

    def _forget(self, connection: Connection, reason: str) -> None:
        del self._connections[connection]
        self._seats.leave(connection.user_id)
        _log.debug("stream.closed", reason=reason, open=len(self._connections))


def _hellos(retry_ms: int, spread: float) -> Iterator[bytes]:
    """Return what streams begin with, by turns: a sign of life, and how long to wait before coming back."""
    factors = (1 - spread + 2 * spread * number / (WAITS - 1) for number in range(WAITS))
    return cycle([sse.comment("ok") + sse.retry(round(retry_ms * factor)) for factor in factors])
