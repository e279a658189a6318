"""Bringing a SQLite file's tables up to this release.

Migrations are numbered files under `migrations/sqlite`; each runs once, in order, in a transaction
that also records it. A file from a newer release is refused rather than guessed at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.db.sqlite import SqliteDatabase

_LEDGER = """
CREATE TABLE IF NOT EXISTS migrations (
  number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step; `text` may hold several statements."""

    number: int
    name: str
    text: str


def find_migrations() -> list[Migration]:
    """Return the migrations of this release, by number."""
    folder = files("media_pipeline.db").joinpath("migrations/sqlite")
    found = [_read(entry.name, entry.read_text("utf-8")) for entry in folder.iterdir()]
    return sorted(found, key=lambda migration: migration.number)


async def migrate(database: SqliteDatabase) -> list[str]:
    """Apply what is missing; return the names of what was applied."""
    return await database.transact(
        lambda conn: _apply_missing(conn, find_migrations(), now=database.now_us())
    )


def _read(file: str, text: str) -> Migration:
    number, _, rest = file.partition("_")
    return Migration(int(number), rest.removesuffix(".sql"), text)


def _apply_missing(conn: sqlite3.Connection, known: Sequence[Migration], *, now: int) -> list[str]:
    conn.execute(_LEDGER)
    done = {row["number"] for row in conn.execute("SELECT number FROM migrations")}
    newest = max((migration.number for migration in known), default=0)
    if done and max(done) > newest:
        raise DatabaseUnavailable("The database was made by a newer release; install that one.")
    missing = [migration for migration in known if migration.number not in done]
    for migration in missing:
        for statement in filter(str.strip, migration.text.split(";\n")):
            conn.execute(statement)
        conn.execute(
            "INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)",
            (migration.number, migration.name, now),
        )
    return [migration.name for migration in missing]
