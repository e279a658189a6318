"""What migrations and statement files promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_pipeline.db.database import DatabaseUnavailable, Dialect
from media_pipeline.db.migrate import find_migrations, migrate
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.db.statements import Statement, load_statements, parse_statements


async def test_migrating_twice_is_nothing(tmp_path: Path) -> None:
    """The first run applies every step by number, the second none, also after a restart."""
    for expected in ([migration.name for migration in find_migrations("sqlite")], []):
        database = SqliteDatabase(tmp_path / "test.db")
        await database.open()
        assert await migrate(database) == expected
        assert await migrate(database) == []
        await database.aclose()


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_migrations_are_numbered(dialect: Dialect) -> None:
    """No two steps have one number, and each has a name and a text."""
    found = find_migrations(dialect)
    assert len({migration.number for migration in found}) == len(found) > 0
    assert all(migration.name and migration.text for migration in found)


async def test_a_newer_file_is_refused() -> None:
    """A database that a later release migrated is left alone."""
    database = SqliteDatabase()
    await database.open()
    await migrate(database)
    later = Statement("later", "INSERT INTO migrations VALUES (999, 'later', 0)")
    await database.execute(later, {})
    with pytest.raises(DatabaseUnavailable, match="newer release"):
        await migrate(database)
    await database.aclose()


def test_statements_are_found_by_name() -> None:
    """Each `-- name:` begins a statement; its comments and its semicolon are not part of it."""
    found = parse_statements(
        "-- a file's head\n\n-- name: one\n-- Says what.\nSELECT 1\nFROM t; \n\n-- name: two_b\nSELECT ';';\n"
    )
    texts = {name: (statement.name, statement.text) for name, statement in found.items()}
    assert texts == {"one": ("one", "SELECT 1\nFROM t"), "two_b": ("two_b", "SELECT ';'")}


def test_a_name_that_comes_twice_is_refused() -> None:
    """Two statements of one name are a mistake, told at start."""
    with pytest.raises(ValueError, match="'one' stands twice"):
        parse_statements("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n")


def test_every_statement_of_the_queue_says_what_it_does() -> None:
    """The queue's file holds statements, each headed by a sentence."""
    assert "claim" in load_statements("media_pipeline.queue", "sql/sqlite.sql")
