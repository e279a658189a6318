"""What migrations on a server promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from media_pipeline.db.migrate import Migration, MigrationsMissing, check_migrated, find_migrations, migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.statements import Statement
from tests.servers.postgres import shared_server

BEFORE = [step for step in find_migrations("postgres") if not step.after]
NAMES = [step.name for step in BEFORE]
TABLES = Statement("tables", "SELECT table_name AS name FROM information_schema.tables ORDER BY 1")


@pytest.fixture
async def database() -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(shared_server().create_database("migrated"))
    await database.open()
    yield database
    await database.aclose()


async def test_migrating_twice_is_nothing(database: PostgresDatabase) -> None:
    """The first run applies every step by number, the second none."""
    assert await migrate(database) == NAMES
    assert await migrate(database) == []
    await check_migrated(database)


async def test_processes_may_migrate_at_once(database: PostgresDatabase) -> None:
    """Eight that begin together all succeed, and nothing is missing after."""
    others = [PostgresDatabase(database.url) for _ in range(8)]
    await asyncio.gather(*(migrate(other) for other in others))
    await asyncio.gather(*(other.aclose() for other in others))
    await check_migrated(database)
    assert await migrate(database) == []


async def test_a_step_that_was_not_noted_is_done_again(database: PostgresDatabase) -> None:
    """A process that died between a step and its note leaves nothing that the next cannot bear."""
    await migrate(database)
    await database.execute(Statement("forget", "DELETE FROM migrations"), {})
    assert await migrate(database) == NAMES


async def test_missing_migrations_are_told_with_the_remedy(database: PostgresDatabase) -> None:
    """An empty database and one a step behind are refused by a sentence that names the command."""
    with pytest.raises(MigrationsMissing, match=f"lacks {len(NAMES)} migrations.*`media-pipeline migrate`"):
        await check_migrated(database)
    await migrate(database, known=BEFORE[:-1])
    with pytest.raises(MigrationsMissing, match=f"lacks 1 migrations, first {NAMES[-1]}"):
        await check_migrated(database)


async def test_a_later_release_is_no_obstacle(database: PostgresDatabase) -> None:
    """While a release is rolled out the earlier one works on the tables of the later."""
    later = Migration(999, "later", "CREATE TABLE IF NOT EXISTS later (id INT8 PRIMARY KEY)")
    await migrate(database, known=[*BEFORE, later])
    await check_migrated(database)
    assert await migrate(database) == []


async def test_steps_for_after_the_release_wait(database: PostgresDatabase) -> None:
    """A step that the earlier release could not bear is applied on request alone, and not missed before."""
    known = [*BEFORE, Migration(999, "drop", "DROP TABLE IF EXISTS media", after=True)]
    await migrate(database, known=known)
    await check_migrated(database, known=known)
    assert "media" in [row["name"] for row in await database.fetch(TABLES, {})]
    assert await migrate(database, after=True, known=known) == ["drop"]
    assert "media" not in [row["name"] for row in await database.fetch(TABLES, {})]
