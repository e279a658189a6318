"""The parts of one process, made of its settings and plugged into each other; nothing runs yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.engines import (
    build_bus,
    build_database,
    build_doorbell,
    build_line,
    build_queue,
    build_seats,
)
from media_pipeline.generation.callbacks import Callbacks, CallsBack
from media_pipeline.generation.handlers import ImageHandler, VideoHandler
from media_pipeline.generation.manager import MediaGenerationManager
from media_pipeline.generation.price import expect_cost
from media_pipeline.generation.provider import MediaProvider
from media_pipeline.generation.withdrawals import Withdrawals
from media_pipeline.media.announcer import JobAnnouncer
from media_pipeline.media.erase import Eraser
from media_pipeline.media.imports import Imports
from media_pipeline.media.ingest import Ingest
from media_pipeline.media.intake import Intake
from media_pipeline.media.library import Library
from media_pipeline.media.limits import Allowance, Limits, RequestRate
from media_pipeline.media.meter import UploadMeter
from media_pipeline.media.netguard import GuardedTransport, NetRules
from media_pipeline.media.processing import Processing
from media_pipeline.media.quota import Quota
from media_pipeline.media.reindex import Reindexer
from media_pipeline.media.sweeper import Sweeper
from media_pipeline.media.uploads import Uploads
from media_pipeline.media.workshop.workshop import Workshop, WorkshopLimits
from media_pipeline.metrics import Gauges
from media_pipeline.providers import build_downloads, build_fleet, build_knocks, build_providers, build_signer
from media_pipeline.queue.handler import Handler
from media_pipeline.queue.worker import Worker, WorkerSettings
from media_pipeline.realtime.hub import Hub
from media_pipeline.realtime.publisher import Publisher
from media_pipeline.settings import Settings
from media_pipeline.standing import standing
from media_pipeline.stores import build_addresses, build_store

Role = Literal["serve", "work"]
DEV: Final[frozenset[Role]] = frozenset({"serve", "work"})
SERVE: Final[frozenset[Role]] = frozenset({"serve"})
WORK: Final[frozenset[Role]] = frozenset({"work"})
TEND: Final[frozenset[Role]] = frozenset()
"""Neither: only what every process does for the queue."""
PARTING: Final = 30.0
"""Seconds beyond a job's deadline in which its handler ends it by itself."""


class Parts:
    """Every part of a process; `roles` says which of them run. `providers` replaces the configured ones."""

    def __init__(
        self,
        settings: Settings,
        *,
        roles: frozenset[Role] = DEV,
        clock: Clock | None = None,
        providers: list[MediaProvider] | None = None,
    ) -> None:
        self.settings = settings
        self.roles = roles
        self.clock = clock or SystemClock()
        self.addresses = build_addresses(settings)
        self.store = build_store(settings, self.addresses, clock=self.clock)
        self.line = build_line(settings, clock=self.clock)
        self.doorbell = build_doorbell(self.line)
        self.database = build_database(settings, clock=clock)  # a server tells the time unless a test does
        self.queue = build_queue(settings, self.database, self.doorbell, clock=self.clock)
        self.bus = build_bus(self.line, clock=self.clock)
        self.hub = Hub(
            self.bus,
            build_seats(settings, self.line, clock=self.clock),
            clock=self.clock,
            ping_seconds=settings.media_ping_seconds,
            stall_seconds=settings.media_stall_seconds,
        )
        self.publisher = Publisher(self.bus)
        self.library = Library(self.database, self.store)
        self.quota = Quota(
            self.database,
            clock=self.clock,
            max_bytes=settings.media_quota_bytes,
            max_objects=settings.media_quota_objects,
        )
        limits = Limits(
            requests=settings.media_requests_per_minute,
            jobs=settings.media_quota_jobs,
            items=settings.media_quota_items_per_day,
            spend=settings.media_quota_usd_per_day,
        )
        self.rate = RequestRate(self.database, clock=self.clock, limit=limits.requests)
        self.allowance = Allowance(
            self.database,
            self.queue,
            clock=self.clock,
            limits=limits,
            expect=lambda new: expect_cost(self.manager, new),
        )
        self.announcer = JobAnnouncer(self.queue, self.publisher, self.store, self.quota, self.allowance)
        self.workshop = Workshop(
            WorkshopLimits(
                examine_seconds=settings.media_examine_seconds,
                make_seconds=settings.media_job_seconds,
                memory_bytes=settings.media_child_memory_bytes,
            )
        )
        self.intake = Intake(self.store, max_bytes=settings.media_max_upload_bytes)
        self.ingest = Ingest(self.store, self.workshop, clock=self.clock)
        self.uploads = Uploads(
            self.queue,
            self.store,
            self.announcer,
            self.quota,
            intake=self.intake,
            ingest=self.ingest,
            clock=self.clock,
        )
        rules = NetRules(plain_http=settings.media_fetch_http, networks=settings.media_fetch_networks)
        self.transport = GuardedTransport(rules)
        self.imports = Imports(
            self.announcer,
            self.publisher,
            self.quota,
            intake=self.intake,
            ingest=self.ingest,
            transport=self.transport,
            rules=rules,
            seconds=settings.media_fetch_seconds,
            clock=self.clock,
        )
        self.processing = Processing(
            self.announcer,
            self.publisher,
            self.quota,
            library=self.library,
            store=self.store,
            ingest=self.ingest,
            workshop=self.workshop,
            clock=self.clock,
        )
        self.sweeper = Sweeper(
            self.queue,
            self.library,
            self.store,
            self.publisher,
            self.quota,
            self.allowance,
            clock=self.clock,
            interval=settings.media_sweep_seconds,
        )
        self.reindexer = Reindexer(
            self.library,
            self.store,
            self.queue,
            intake=self.intake,
            ingest=self.ingest,
            workshop=self.workshop,
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
        self.signer = build_signer(settings)
        self.fleet = build_fleet(settings, self.providers, database=self.database, clock=self.clock)
        self.downloads = build_downloads(settings, clock=self.clock)
        self.manager = MediaGenerationManager(
            self.providers, clock=self.clock, fleet=self.fleet, downloads=self.downloads
        )
        self.withdrawals = Withdrawals(self.announcer, self.queue, self.manager, clock=self.clock)
        self.eraser = Eraser(
            self.queue, self.withdrawals, self.database, self.store, self.bus, clock=self.clock
        )
        self.worker = Worker(
            self.queue,
            self._handlers(),
            self.withdrawals,
            self.doorbell,
            settings=WorkerSettings(
                concurrency=settings.media_concurrency,
                lease=settings.media_lease_seconds,
                poll=settings.media_poll_seconds,
                grace=settings.media_grace_seconds,
                deadline=settings.media_job_seconds + PARTING,
            ),
            clock=self.clock,
        )

    def callbacks(self) -> list[Callbacks]:
        """Return what takes the calls of each provider that calls back."""
        return [Callbacks(each, self.knocks) for each in self.providers if isinstance(each, CallsBack)]

    def gauges(self) -> Sequence[Gauges]:
        """Return what tells how the parts stand, for whoever asks for metrics."""
        slots = self.settings.media_concurrency if "work" in self.roles else 0
        return standing(self.queue, self.hub, self.worker, slots=slots)

    def _handlers(self) -> Mapping[str, Handler]:
        return {
            f"generate.{handler.kind}": handler(
                self.manager,
                self.store,
                self.publisher,
                workshop=self.workshop,
                clock=self.clock,
                deadline=self.settings.media_job_seconds,
                signer=self.signer,
            )
            for handler in (ImageHandler, VideoHandler)
        } | {
            "upload": self.uploads.ingest,
            "import": self.imports.run,
            "process": self.processing.run,
        }
