"""The engines that the settings name: each of them is chosen here and nowhere else."""

from __future__ import annotations

from typing import Final, get_args

from media_pipeline.clock import Clock
from media_pipeline.db.database import Database
from media_pipeline.db.migrate import check_migrated, migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.postgres import PostgresQueue
from media_pipeline.queue.queue import Doorbell, Ring
from media_pipeline.queue.sqlite import SqliteQueue
from media_pipeline.realtime.bus import Bus
from media_pipeline.realtime.memory import MemoryBus
from media_pipeline.realtime.redis import RedisBus
from media_pipeline.realtime.redis_doorbell import RedisDoorbell
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.realtime.redis_seats import RedisSeats
from media_pipeline.realtime.seats import OwnSeats, Seats
from media_pipeline.settings import Settings


def build_line(settings: Settings, *, clock: Clock) -> RedisLine | None:
    """Return the link to Redis, not yet open; None for a program of one process."""
    return None if settings.redis is None else RedisLine(settings.redis, clock=clock)


def build_bus(line: RedisLine | None, *, clock: Clock) -> Bus:
    """Return the bus over `line`, or that of one process."""
    return MemoryBus(clock=clock) if line is None else RedisBus(line, clock=clock)


SEAT_LEASE: Final = 6.0
"""Seconds: whoever was on a service that was killed comes back to another one within them."""


def build_seats(settings: Settings, line: RedisLine | None, *, clock: Clock) -> Seats:
    """Return what counts each user's streams: of all processes on `line`, or of this one."""
    limit = settings.media_streams_per_user
    if line is None:
        return OwnSeats(limit)
    lease = min(SEAT_LEASE, settings.media_lease_seconds)
    return RedisSeats(line, limit=limit, clock=clock, lease=lease)


def build_doorbell(line: RedisLine | None) -> Doorbell:
    """Return the doorbell over `line`, or that of one process."""
    return LocalDoorbell() if line is None else RedisDoorbell(LocalDoorbell(), line, rings=get_args(Ring))


def build_database(settings: Settings, *, clock: Clock | None = None) -> SqliteDatabase | PostgresDatabase:
    """Return the database that the settings name, not yet open; without `clock` a server tells the time."""
    if settings.database_server is not None:
        return PostgresDatabase(settings.database_server, clock=clock)
    return SqliteDatabase(settings.database_path, clock=clock)


def build_queue(
    settings: Settings, database: SqliteDatabase | PostgresDatabase, doorbell: Doorbell, *, clock: Clock
) -> SqliteQueue | PostgresQueue:
    """Return the queue on `database`."""
    window = settings.media_user_jobs or settings.media_concurrency
    if isinstance(database, PostgresDatabase):
        return PostgresQueue(database, doorbell, window=lambda _kind: window, clock=clock)
    return SqliteQueue(database, doorbell, window=lambda _kind: window)


async def open_database(settings: Settings, database: Database) -> None:
    """Open it with its tables as this release needs them: a file is migrated, a server must have been."""
    if settings.database_path:
        settings.database_path.parent.mkdir(parents=True, exist_ok=True)
    await database.open()
    if settings.database_server is None:
        await migrate(database)
    else:
        await check_migrated(database)
