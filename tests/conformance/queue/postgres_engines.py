"""The queue on a real SQL server: as it is, and in the limits of CockroachDB."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.retry import Retry
from media_pipeline.db.session import Connect, connect
from media_pipeline.db.statements import Statement
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.postgres import PostgresQueue
from tests.servers.flaky import FlakyCursor, ForgetfulCursor, connect_flaky, connect_forgetful
from tests.servers.postgres import OwnServer, shared_server

from .harness import Harness

EMPTY = ("DELETE FROM jobs", "DELETE FROM workers", "DELETE FROM notes")
STRICT = (
    "REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC",
    *(
        f"REVOKE EXECUTE ON FUNCTION {name}({arguments}) FROM PUBLIC"
        for name in (
            "pg_advisory_lock",
            "pg_try_advisory_lock",
            "pg_advisory_xact_lock",
            "pg_advisory_unlock",
        )
        for arguments in ("bigint", "int, int")
    ),
    "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC",
    "UPDATE pg_language SET lanpltrusted = false WHERE lanname = 'plpgsql'",
)
"""What CockroachDB does not have or takes without doing it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """How a set-up differs from PostgreSQL as it comes."""

    name: str
    strict: bool = False
    skip_locked: bool = True
    connect: Connect = field(default=connect)


PLAIN = Variant("plain")
VARIANTS = (
    PLAIN,
    Variant("strict", strict=True),
    Variant("optimistic", skip_locked=False),
    Variant("flaky", connect=connect_flaky),
    Variant("forgetful", connect=connect_forgetful),
)


class PostgresEngine(Harness):
    """One variant, its tables empty, its clock in the test's hands."""

    database: PostgresDatabase

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self._variant = variant

    async def open(self) -> None:
        FlakyCursor.dice.seed(20)
        ForgetfulCursor.dice.seed(20)
        url = await prepare(self._variant)
        self.database = PostgresDatabase(
            url, clock=self.clock, connect=self._variant.connect, retry=Retry(base=0.0)
        )
        await self._begin()

    async def _begin(self) -> None:
        self.doorbell = LocalDoorbell()
        self.queue = PostgresQueue(
            self.database,
            self.doorbell,
            window=lambda _kind: self.window,
            backoff=self.backoff,
            skip_locked=self._variant.skip_locked,
            clock=self.clock,
        )

    async def reopen(self) -> None:
        await self._do("DELETE FROM workers")  # the old process is dead; here nobody waits for its leases
        await self._begin()

    async def _do(self, text: str) -> None:
        await self.database.write(Statement("do", text), {}, repeatable=True)


_prepared: dict[str, str] = {}


async def prepare(variant: Variant) -> str:
    """Return the URL of the variant's database with empty tables."""
    if variant.name not in _prepared:
        _prepared[variant.name] = await _make(variant)
    database = PostgresDatabase(_prepared[variant.name], lines=1)
    for text in EMPTY:
        await database.execute(Statement("empty", text), {})
    await database.aclose()
    return _prepared[variant.name]


async def _make(variant: Variant) -> str:
    server = shared_server()
    name = f"queue_{variant.name}"
    url = server.create_database(name)
    if variant.strict and isinstance(server, OwnServer):
        server.administer(
            f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'",
            *STRICT,
            database=name,
        )
    database = PostgresDatabase(url)
    await migrate(database)
    await database.execute(Statement("notes", "CREATE TABLE notes (text TEXT PRIMARY KEY)"), {})
    await database.aclose()
    return url


@asynccontextmanager
async def postgres(variant: Variant) -> AsyncIterator[PostgresEngine]:
    engine = PostgresEngine(variant)
    await engine.open()
    yield engine
    await engine.database.aclose()


POSTGRES_ENGINES = {f"postgres-{variant.name}": functools.partial(postgres, variant) for variant in VARIANTS}
