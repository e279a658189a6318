"""Looking at everything the settings name, before a user does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from media_pipeline.app import Program, open_database
from media_pipeline.errors import MediaPipelineError
from media_pipeline.generation.provider import MediaProvider
from media_pipeline.realtime.redis_connect import CONNECT_SECONDS
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.settings import Settings
from media_pipeline.storage.store import Store

PROBE_PATH = "derived/doctor/probe"
PROBE = b"media-pipeline doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `problem` says how to mend it, None when it is well."""

    subject: str
    detail: str
    problem: str | None = None


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Try the store, the database and each provider for real."""
    try:
        program = Program(settings)
    except (MediaPipelineError, OSError) as error:
        yield Finding("store", "cannot be opened", str(error))
        return
    yield await _try("database", partial(_use_database, program))
    if program.line is not None:
        yield await _try("bus", partial(_use_redis, program.line))
    yield await _try("store", partial(_use_store, program.store))
    for provider in program.providers:
        yield await _try(f"provider {provider.name}", partial(_check_provider, provider))


async def _try(subject: str, use: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(subject, await use())
    except (MediaPipelineError, OSError) as error:
        return Finding(subject, "does not work", str(error))


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
