"""The databases that a library may live in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from media_pipeline.db.database import Database, Effect
from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.db.statements import Statement
from media_pipeline.media.library import Library
from media_pipeline.storage.memory import MemoryStore
from tests.clocks import FakeClock
from tests.servers.postgres import shared_server


@pytest.fixture(scope="module")
def url() -> str:
    return shared_server().create_database("library")


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    database: Database = SqliteDatabase()
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("url"))
    await database.open()
    await migrate(database)
    for table in ("media", "media_words", "media_indexed", "media_reserved", "media_owners"):
        await database.execute(Statement("empty", f"DELETE FROM {table}"), {})
    yield database
    await database.aclose()


@pytest.fixture
def library(database: Database) -> Library:
    store = MemoryStore(
        "http://localhost", clock=FakeClock(), secret=b"x" * 32, max_upload_bytes=9, max_bytes=99
    )
    return Library(database, store)


@pytest.fixture
async def indexed(database: Database) -> None:
    """Both users have an index of words, as large libraries do."""
    text = "INSERT INTO media_indexed (user_id, began, ready_at) VALUES (:user, 0, 0)"
    await database.apply([Effect(Statement("index", text), {"user": user}) for user in ("ann", "bob")])
