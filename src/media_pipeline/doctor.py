"""Looking at everything the settings name, before a user does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import httpx2

from media_pipeline.bucket_checks import GUIDE, S3_GUIDE, BucketChecks
from media_pipeline.engines import open_database
from media_pipeline.errors import MediaPipelineError
from media_pipeline.finding import Finding, find
from media_pipeline.generation.provider import MediaProvider
from media_pipeline.program import Program
from media_pipeline.realtime.redis_connect import CONNECT_SECONDS
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.settings import Settings
from media_pipeline.storage.gcs import GCSStore
from media_pipeline.storage.s3 import S3Store
from media_pipeline.storage.store import Store
from media_pipeline.stores import BucketStore

PROBE_PATH = "derived/doctor/probe"
PROBE = b"media-pipeline doctor"
BUCKET_SECONDS = 15


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Try the store, the database and each provider for real."""
    try:
        program = Program(settings)
    except (MediaPipelineError, OSError) as error:
        yield Finding("store", "cannot be opened", str(error))
        return
    yield await find("database", partial(_use_database, program))
    if program.line is not None:
        yield await find("bus", partial(_use_redis, program.line))
    if isinstance(program.store, GCSStore | S3Store):
        async for finding in _check_bucket(program, program.store):
            yield finding
    else:
        yield await find("store", partial(_use_store, program.store))
    for provider in program.providers:
        yield await find(f"provider {provider.name}", partial(_check_provider, provider))


async def _use_database(program: Program) -> str:
    try:
        await open_database(program.settings, program.database)
    finally:
        await program.database.aclose()
    if program.settings.database_server is not None:
        return "the SQL server answers and has every table"
    path = program.settings.database_path
    return f"SQLite at {path}" if path else "SQLite in memory: jobs and library end with the process"


async def _use_redis(line: RedisLine) -> str:
    try:
        await line.probe(CONNECT_SECONDS)
    finally:
        await line.aclose()
    return "Redis answers"


async def _check_bucket(program: Program, store: BucketStore) -> AsyncIterator[Finding]:
    settings = program.settings
    async with httpx2.AsyncClient(timeout=BUCKET_SECONDS) as http:
        checks = BucketChecks(
            store,
            http,
            origins=settings.page_origins,
            clock=program.clock,
            describe=store.describe_bucket if isinstance(store, GCSStore) else None,
            public=settings.media_urls == "public",
            guide=GUIDE if isinstance(store, GCSStore) else S3_GUIDE,
        )
        async for finding in checks.run():
            yield finding
    await store.aclose()


async def _use_store(store: Store) -> str:
    await store.upload(PROBE_PATH, PROBE, "text/plain")
    try:
        if await store.read(PROBE_PATH) != PROBE:
            raise OSError("The store gives back other bytes than it was given.")
    finally:
        await store.delete(PROBE_PATH)
    return f"{type(store).__name__} keeps and returns bytes"


async def _check_provider(provider: MediaProvider) -> str:
    """Try the key with a call that costs nothing."""
    try:
        said = await provider.check()
        return f"{said}; offers {', '.join(model.id for model in await provider.models())}"
    finally:
        await provider.aclose()
