"""A fleet whose database, Redis and bucket each stand behind a fault proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from media_pipeline.environment import read_settings
from media_pipeline.program import Program
from media_pipeline.settings import Settings
from tests.acceptance.fleet import Fleet, fleet_in
from tests.acceptance.process import SECRET
from tests.integration.program import LeapingClock
from tests.servers.gcs_server import GcsServer, gcs_server
from tests.servers.postgres import ROLE, OwnServer
from tests.servers.proxy import FaultProxy, fault_proxy
from tests.servers.redis import RedisServer, redis_server

LONG_AGO = 3 * 3600.0
"""Seconds after which a sweep takes what nobody owns."""


@dataclass
class World:
    """What a test may do anything to."""

    fleet: Fleet
    server: OwnServer
    redis: RedisServer
    gcs: GcsServer
    proxies: dict[str, FaultProxy]
    near: dict[str, Any]
    """Settings that lead past the proxies."""

    @cached_property
    def settings(self) -> Settings:
        return read_settings(auth_jwt_secret=SECRET, public_url=self.fleet.address, **self.near)

    async def sweep(self) -> int:
        """Let what is there now become old, sweep, and return how many objects that removed."""
        clock = LeapingClock()
        program = Program(self.settings, clock=clock)
        try:
            clock.leap(LONG_AGO)
            return (await program.sweeper.sweep()).objects
        finally:
            await program.stop()

    async def orphans(self, users: Collection[str]) -> set[str]:
        """Return the objects that no row names."""
        return (await self.fleet.remains(users)).orphans()


@asynccontextmanager
async def world_in(folder: Path, server: OwnServer, **given: object) -> AsyncIterator[World]:
    """Run what a fleet needs and the proxies before it; the processes are the test's to start."""
    database = server.create_database("world")
    with redis_server() as redis, gcs_server() as gcs:
        host, _, port = gcs.url.removeprefix("http://").partition(":")
        async with (
            fault_proxy(server.socket) as to_database,
            fault_proxy(redis.socket) as to_redis,
            fault_proxy((host, int(port))) as to_store,
        ):
            near = {
                "database_url": database,
                "redis_url": redis.url,
                "gcs_bucket": gcs.new_bucket(),
                "gcs_service_account_json": gcs.account,
                "storage_emulator_host": gcs.url,
            }
            through = {
                **near,
                "database_url": f"postgresql://{ROLE}@127.0.0.1:{to_database.port}/world",
                "redis_url": f"redis://127.0.0.1:{to_redis.port}",
                "storage_emulator_host": f"http://127.0.0.1:{to_store.port}",
            }
            proxies = {"database": to_database, "redis": to_redis, "storage": to_store}
            settings = read_settings(auth_jwt_secret=SECRET, **near)
            async with fleet_in(
                folder,
                database=database,
                redis=redis.url,
                store=lambda: Program(settings).store,
                **{**through, **given},
            ) as fleet:
                yield World(fleet, server, redis, gcs, proxies, near)
