"""The HTTP surface over a program: `create_app` is the API, `create_service` what a server serves."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from media_pipeline import __version__
from media_pipeline.api.auth import Tokens
from media_pipeline.api.bugs import BugsCaught
from media_pipeline.api.cors import ApiCors
from media_pipeline.api.door import StreamDoor
from media_pipeline.api.gate import Gate
from media_pipeline.api.keys import KeySet
from media_pipeline.api.limits import BodyLimit
from media_pipeline.api.measured import Measured
from media_pipeline.api.openapi import describe_api
from media_pipeline.api.problems import install_problems
from media_pipeline.api.rates import RateHeaders
from media_pipeline.api.routes.addresses import addresses_routes
from media_pipeline.api.routes.events import events_routes
from media_pipeline.api.routes.generate import generate_routes
from media_pipeline.api.routes.health import health_routes
from media_pipeline.api.routes.jobs import jobs_routes, read_history
from media_pipeline.api.routes.making import making_routes
from media_pipeline.api.routes.media import media_routes
from media_pipeline.api.routes.storage import storage_routes
from media_pipeline.api.routes.studio import studio_routes
from media_pipeline.api.routes.uploads import uploads_routes
from media_pipeline.api.routes.webhooks import webhooks_routes
from media_pipeline.api.scopes import EVERYDAY
from media_pipeline.clock import Clock, SystemClock
from media_pipeline.devsecret import token_secret
from media_pipeline.program import Program
from media_pipeline.settings import Settings
from media_pipeline.storage.addresses import StableAddresses
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.memory import MemoryStore

STUDIO_FOLDERS = (
    Path(__file__).parent / "studio",
    Path(__file__).parents[2] / "web" / "apps" / "studio" / "dist",
)
"""In the wheel, and in a checkout."""


def build_tokens(settings: Settings, *, clock: Clock | None = None) -> Tokens:
    """Return what verifies the tokens that `settings` name and, with a secret, makes them."""
    keys = secret = None
    if settings.auth_jwks_url is None:
        secret = token_secret(settings)
    else:
        keys = KeySet(
            settings.auth_jwks_url, clock=clock or SystemClock(), algorithms=settings.auth_algorithms
        )
    return Tokens(
        secret,
        keys=keys,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        unsaid=frozenset() if settings.auth_require_scopes else EVERYDAY,
    )


def create_app(program: Program, *, tokens: Tokens | None = None) -> FastAPI:
    """Build the HTTP surface over a program, which is started and stopped by the server."""
    tokens = tokens or build_tokens(program.settings, clock=program.clock)
    app = FastAPI(title="Media Pipeline", version=__version__, redirect_slashes=False)
    app.state.tokens = tokens
    app.state.rate = program.rate
    describe_api(app)
    install_problems(app)
    for router in _routers(program, tokens):
        app.include_router(router)
    app.add_middleware(BodyLimit, seconds=program.settings.media_body_seconds)
    app.add_middleware(BugsCaught)
    app.add_middleware(Measured)
    if program.rate.limited or program.allowance.limited:
        app.add_middleware(RateHeaders, allowance=program.allowance)
    if program.settings.cors_origins:
        app.add_middleware(ApiCors, origins=program.settings.cors_origins)
    return app


def create_service(program: Program) -> ASGIApp:
    """Build what a server serves: the HTTP surface, before it the door for event streams, and a gate."""
    tokens = build_tokens(program.settings, clock=program.clock)
    snapshot = partial(read_history, program.queue, program.announcer)
    place = program.settings.media_events_token
    app = create_app(program, tokens=tokens)
    origins = program.settings.cors_origins
    door = StreamDoor(
        app, program.hub, tokens, snapshot=snapshot, rate=program.rate, place=place, origins=origins
    )
    return Gate(door, begun=lambda: program.begun)


def _routers(program: Program, tokens: Tokens) -> list[APIRouter]:
    queue, store, announcer = program.queue, program.store, program.announcer
    return [
        health_routes({**program.probes(), **tokens.probes()}, program.gauges()),
        generate_routes(program.manager, program.library, announcer, program.quota),
        uploads_routes(program.uploads, store, program.meter, origins=program.settings.page_origins),
        making_routes(program.imports, program.processing),
        media_routes(
            program.library, store, program.publisher, program.quota, program.allowance, program.rate
        ),
        jobs_routes(queue, store, announcer, program.quota, ends=program.withdrawals),
        events_routes(program.hub, snapshot=partial(read_history, queue, announcer)),
        webhooks_routes(program.callbacks()),
        *_object_routes(program),
        studio_routes(_studio_folder(), tokens if program.settings.development else None),
    ]


def _object_routes(program: Program) -> list[APIRouter]:
    """Serve objects here, or lead to those in a bucket; a public bucket needs neither."""
    store, addresses, standing = program.store, program.addresses, program.uploads.standing
    if isinstance(store, MemoryStore | LocalStore):
        return [storage_routes(store, on_progress=program.meter.note_stored, standing=standing)]
    if isinstance(addresses, StableAddresses):
        return [addresses_routes(addresses, store, standing=standing, clock=program.clock)]
    return []


def _studio_folder() -> Path | None:
    return next((folder for folder in STUDIO_FOLDERS if (folder / "index.html").is_file()), None)
