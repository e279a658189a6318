"""Bringing a database's tables up to this release.

Migrations are numbered files under `migrations/<dialect>`; each runs once, in order, and is noted in a
ledger. In SQLite a step and its note are one transaction. On a server each file is one statement
that bears repeating, so two processes may migrate at once; steps that an earlier release's processes
could not bear end in `.after.sql` and wait for `after=True`, when none of them runs any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.db.database import Database, DatabaseUnavailable, Dialect, Effect, Params
from media_pipeline.db.statements import Statement
from media_pipeline.errors import MediaPipelineError

_LEDGER = Statement(
    "ledger",
    "CREATE TABLE IF NOT EXISTS migrations (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL,"
    " applied_at BIGINT NOT NULL)",
)
_DONE = Statement("done", "SELECT number FROM migrations")
_BEGUN = Statement(
    "begun",
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = current_schema() AND table_name = 'migrations'",
)
_NOTE = Statement(
    "note",
    "INSERT INTO migrations (number, name, applied_at) VALUES (:number, :name, :applied_at)"
    " ON CONFLICT (number) DO NOTHING",
)


class MigrationsMissing(MediaPipelineError):
    """The database lacks tables of this release; run `media-pipeline migrate`."""

    code: ClassVar[str] = "migrations_missing"


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step; `after` ones wait until the earlier release runs no more."""

    number: int
    name: str
    text: str
    after: bool = False


def find_migrations(dialect: Dialect) -> list[Migration]:
    """Return the migrations of this release, by number."""
    folder = files("media_pipeline.db").joinpath(f"migrations/{dialect}")
    found = [_read(entry.name, entry.read_text("utf-8")) for entry in folder.iterdir()]
    return sorted(found, key=lambda migration: migration.number)


async def migrate(
    database: Database,
    *,
    after: bool = False,
    known: Sequence[Migration] | None = None,
    clock: Clock | None = None,
) -> list[str]:
    """Apply what is missing; return the names of what was applied."""
    known = find_migrations(database.dialect) if known is None else known
    await database.alter([Effect(_LEDGER, {})])
    done = await _read_ledger(database)
    if database.dialect == "sqlite":
        _refuse_newer(done, known)
    missing = [step for step in known if step.number not in done and (after or not step.after)]
    for step in missing:
        await database.alter(_effects(step, now=(clock or SystemClock()).now()))
    return [step.name for step in missing]


async def check_migrated(database: Database, *, known: Sequence[Migration] | None = None) -> None:
    """Raise `MigrationsMissing` when this release cannot work on a server's tables as they are."""
    known = find_migrations("postgres") if known is None else known
    begun = await database.fetch(_BEGUN, {})  # who only serves may lack the right to make a table
    done = await _read_ledger(database) if begun else set()
    missing = [step.name for step in known if step.number not in done and not step.after]
    if missing:
        raise MigrationsMissing(
            f"The database lacks {len(missing)} migrations, first {missing[0]}: run `media-pipeline migrate`."
        )


async def _read_ledger(database: Database) -> set[int]:
    return {int(row["number"] or 0) for row in await database.fetch(_DONE, {})}


def _refuse_newer(done: set[int], known: Sequence[Migration]) -> None:
    newest = max((step.number for step in known), default=0)
    if done and max(done) > newest:
        raise DatabaseUnavailable("The database was made by a newer release; install that one.")


def _effects(step: Migration, *, now: float) -> list[Effect]:
    statements = [text for text in step.text.split(";\n") if text.strip()]
    note: Params = {"number": step.number, "name": step.name, "applied_at": round(now * 1_000_000)}
    return [*(Effect(Statement(step.name, text), {}) for text in statements), Effect(_NOTE, note)]


def _read(file: str, text: str) -> Migration:
    number, _, rest = file.removesuffix(".sql").partition("_")
    return Migration(int(number), rest.removesuffix(".after"), text, after=rest.endswith(".after"))
