"""The composition root: the only file that knows every room.

`Program` builds the parts that the settings name and plugs them into each other; `create_app` puts
the HTTP surface over them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import get_args

import structlog
from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from media_pipeline import __version__
from media_pipeline.api.auth import Tokens
from media_pipeline.api.cors import ApiCors
from media_pipeline.api.door import StreamDoor
from media_pipeline.api.limits import BodyLimit
from media_pipeline.api.openapi import describe_api
from media_pipeline.api.problems import install_problems
from media_pipeline.api.routes.events import events_routes
from media_pipeline.api.routes.generate import generate_routes
from media_pipeline.api.routes.health import Probe, health_routes
from media_pipeline.api.routes.jobs import jobs_routes, read_history
from media_pipeline.api.routes.media import media_routes
from media_pipeline.api.routes.storage import storage_routes
from media_pipeline.api.routes.studio import studio_routes
from media_pipeline.api.routes.uploads import uploads_routes
from media_pipeline.api.routes.webhooks import webhooks_routes
from media_pipeline.clock import Clock, SystemClock
from media_pipeline.db.database import Database
from media_pipeline.db.migrate import check_migrated, migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.devsecret import derive_secret, token_secret
from media_pipeline.errors import MediaPipelineError
from media_pipeline.generation.callbacks import Callbacks, CallsBack
from media_pipeline.generation.handlers import ImageHandler, VideoHandler
from media_pipeline.generation.manager import MediaGenerationManager
from media_pipeline.generation.provider import MediaProvider
from media_pipeline.media.announcer import JobAnnouncer
from media_pipeline.media.library import Library
from media_pipeline.media.meter import UploadMeter
from media_pipeline.media.remover import Remover
from media_pipeline.media.uploads import Uploads
from media_pipeline.providers import build_downloads, build_fleet, build_knocks, build_providers
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.postgres import PostgresQueue
from media_pipeline.queue.queue import Doorbell, Ring
from media_pipeline.queue.republisher import Republisher
from media_pipeline.queue.rescuer import Rescuer
from media_pipeline.queue.sqlite import SqliteQueue
from media_pipeline.queue.worker import Handler, Worker, WorkerSettings
from media_pipeline.realtime.bus import Bus
from media_pipeline.realtime.hub import Hub
from media_pipeline.realtime.memory import MemoryBus
from media_pipeline.realtime.publisher import Publisher
from media_pipeline.realtime.redis import RedisBus
from media_pipeline.realtime.redis_doorbell import RedisDoorbell
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.settings import Settings
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.memory import MemoryStore

_log = structlog.get_logger(__name__)
WITHDRAWAL = 30.0
"""Seconds that a handler has beyond a job's deadline to stop what it began elsewhere."""
STUDIO_FOLDERS = (
    Path(__file__).parent / "studio",
    Path(__file__).parents[2] / "web" / "apps" / "studio" / "dist",
)
"""In the wheel, and in a checkout."""


class PartDied(MediaPipelineError):
    """A loop that must run as long as the program does has ended; start the program again."""


class Program:
    """Service and worker in one process. `providers` replaces the configured ones."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        providers: list[MediaProvider] | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.tokens = build_tokens(settings)
        self.store = self._build_store()
        self.line = None if settings.redis is None else RedisLine(settings.redis, clock=self.clock)
        self.doorbell = self._build_doorbell()
        self.database, self.queue = self._build_queue(clock)
        self.bus = self._build_bus()
        self.hub = Hub(
            self.bus,
            clock=self.clock,
            ping_seconds=settings.media_ping_seconds,
            max_streams_per_user=settings.media_streams_per_user,
        )
        self.publisher = Publisher(self.bus)
        self.library = Library(self.database, self.store)
        self.announcer = JobAnnouncer(self.queue, self.publisher, self.store)
        self.uploads = Uploads(
            self.queue,
            self.store,
            self.announcer,
            clock=self.clock,
            max_bytes=settings.media_max_upload_bytes,
        )
        self.meter = UploadMeter(self.uploads, self.publisher, clock=self.clock)
        self.knocks = build_knocks(self.line)
        if providers is None:
            providers = build_providers(
                settings,
                clock=self.clock,
                read_input=lambda image: self.store.read(image.path),
                knocks=self.knocks,
            )
        self.providers = providers
        self.fleet = build_fleet(settings, self.providers, database=self.database, clock=self.clock)
        self.downloads = build_downloads(settings, clock=self.clock)
        self.manager = MediaGenerationManager(
            self.providers, clock=self.clock, fleet=self.fleet, downloads=self.downloads
        )
        self.worker = Worker(
            self.queue,
            self._handlers(),
            self.announcer,
            self.doorbell,
            settings=WorkerSettings(
                concurrency=settings.media_concurrency,
                lease=settings.media_lease_seconds,
                poll=settings.media_poll_seconds,
                grace=settings.media_grace_seconds,
                deadline=settings.media_job_seconds + WITHDRAWAL,
            ),
            clock=self.clock,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the database, take over what an earlier process left, and begin to work."""
        try:
            await self._begin()
        except BaseException:
            await self.stop()
            raise

    async def _begin(self) -> None:
        if self.line is not None:
            self.line.open()
        await open_database(self.settings, self.database)
        if self.settings.forgets_objects:
            _log.warning("store.in_memory", hint="objects end with the process, rows stay: set STORAGE_DIR")
        await self.queue.open()
        rescuer = Rescuer(
            self.queue,
            self.announcer,
            self.doorbell,
            lease=self.settings.media_lease_seconds,
            clock=self.clock,
        )
        await rescuer.tend()
        republisher = Republisher(
            self.queue, self.announcer, keep=self.settings.media_keep_jobs_seconds, clock=self.clock
        )
        remover = Remover(self.library, clock=self.clock)
        for part in (self.worker.run(), rescuer.run(), republisher.run(), remover.run(), self.fleet.keep()):
            self._tasks.append(asyncio.create_task(part))

    async def part_died(self) -> None:
        """Return when a part of the running program ends by itself, which none should."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def begin_stop(self) -> None:
        """Claim nothing more and end every stream; comes before the server waits for connections."""
        self.worker.stop()
        await self.hub.aclose()

    async def stop(self) -> None:
        """Drain the worker, then close what was opened, last first; raises what a part died of."""
        self.worker.stop()
        working, loops = self._tasks[:1], self._tasks[1:]
        ends = await asyncio.gather(*working, return_exceptions=True)
        for loop in loops:
            loop.cancel()
        ends += await asyncio.gather(*loops, return_exceptions=True)
        await self._close()
        for end in ends:
            if isinstance(end, Exception):
                raise PartDied("A part of the program died; its log says of what.") from end

    async def _close(self) -> None:
        await self.hub.aclose()
        await self.bus.aclose()
        for provider in self.providers:
            await provider.aclose()
        await self.downloads.aclose()
        await self.store.aclose()
        await self.database.aclose()

    def probes(self) -> Mapping[str, Probe]:
        """Return what says of each part, by raising, that it cannot work."""
        bus = {} if self.line is None else {"bus": self.line.probe}
        return {"database": self.queue.depth, **bus}

    def _build_bus(self) -> Bus:
        if self.line is None:
            return MemoryBus(clock=self.clock)
        return RedisBus(self.line, clock=self.clock)

    def _build_doorbell(self) -> Doorbell:
        if self.line is None:
            return LocalDoorbell()
        return RedisDoorbell(LocalDoorbell(), self.line, rings=get_args(Ring))

    def _build_queue(self, clock: Clock | None) -> tuple[Database, SqliteQueue | PostgresQueue]:
        """Return the database that the settings name and the queue on it; `clock` only where it was given."""
        database, window = build_database(self.settings, clock=clock), self.settings.media_concurrency
        if isinstance(database, PostgresDatabase):
            queue = PostgresQueue(database, self.doorbell, window=lambda _kind: window, clock=self.clock)
            return database, queue
        return database, SqliteQueue(database, self.doorbell, window=lambda _kind: window)

    def _build_store(self) -> MemoryStore | LocalStore:
        settings = self.settings
        secret = derive_secret(token_secret(settings), "upload tickets")
        if settings.storage_dir is not None:
            return LocalStore(
                settings.storage_dir / "objects",
                settings.base_url,
                clock=self.clock,
                secret=secret,
                max_upload_bytes=settings.media_max_upload_bytes,
            )
        return MemoryStore(
            settings.base_url,
            clock=self.clock,
            secret=secret,
            max_upload_bytes=settings.media_max_upload_bytes,
            max_bytes=settings.media_memory_store_bytes,
        )

    def callbacks(self) -> list[Callbacks]:
        """Return what takes the calls of each provider that calls back."""
        return [Callbacks(each, self.knocks) for each in self.providers if isinstance(each, CallsBack)]

    def _handlers(self) -> Mapping[str, Handler]:
        return {
            f"generate.{handler.kind}": handler(
                self.manager,
                self.store,
                self.publisher,
                clock=self.clock,
                deadline=self.settings.media_job_seconds,
            )
            for handler in (ImageHandler, VideoHandler)
        } | {
            "upload": self.uploads.ingest,
        }


def build_database(settings: Settings, *, clock: Clock | None = None) -> SqliteDatabase | PostgresDatabase:
    """Return the database that the settings name, not yet open; without `clock` a server tells the time."""
    if settings.database_server is not None:
        return PostgresDatabase(settings.database_server, clock=clock)
    return SqliteDatabase(settings.database_path, clock=clock)


async def open_database(settings: Settings, database: Database) -> None:
    """Open it with its tables as this release needs them: a file is migrated, a server must have been."""
    if settings.database_path:
        settings.database_path.parent.mkdir(parents=True, exist_ok=True)
    await database.open()
    if settings.database_server is None:
        await migrate(database)
    else:
        await check_migrated(database)


def build_tokens(settings: Settings) -> Tokens:
    """Return what makes and verifies the tokens that `settings` name."""
    return Tokens(token_secret(settings), issuer=settings.auth_issuer, audience=settings.auth_audience)


def create_app(program: Program) -> FastAPI:
    """Build the HTTP surface over a program, which is started and stopped by the server."""
    app = FastAPI(title="Media Pipeline", version=__version__, redirect_slashes=False)
    app.state.tokens = program.tokens
    describe_api(app)
    install_problems(app)
    for router in _routers(program):
        app.include_router(router)
    app.add_middleware(BodyLimit)
    if program.settings.cors_origins:
        app.add_middleware(ApiCors, origins=program.settings.cors_origins)
    return app


def create_service(program: Program) -> ASGIApp:
    """Build what a server serves: the HTTP surface, and before it the door for event streams."""
    snapshot = partial(read_history, program.queue, program.announcer)
    return StreamDoor(create_app(program), program.hub, program.tokens, snapshot=snapshot)


def _routers(program: Program) -> list[APIRouter]:
    queue, store, announcer = program.queue, program.store, program.announcer
    return [
        health_routes(program.probes()),
        generate_routes(queue, program.manager, program.library, announcer),
        uploads_routes(program.uploads, store, program.meter),
        media_routes(program.library, store, program.publisher),
        jobs_routes(queue, store, announcer),
        events_routes(program.hub, snapshot=partial(read_history, queue, announcer)),
        webhooks_routes(program.callbacks()),
        storage_routes(store, on_progress=program.meter.note_stored, standing=program.uploads.standing),
        studio_routes(_studio_folder(), program.tokens if program.settings.development else None),
    ]


def _studio_folder() -> Path | None:
    return next((folder for folder in STUDIO_FOLDERS if (folder / "index.html").is_file()), None)
