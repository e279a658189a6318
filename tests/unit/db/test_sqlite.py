"""What the embedded database promises."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_pipeline.db.database import DatabaseUnavailable, Effect
from media_pipeline.db.sqlite import Connection, SqliteDatabase
from media_pipeline.db.statements import Statement
from tests.clocks import FakeClock

INSERT = Statement("insert", "INSERT INTO things (name) VALUES (:name)")
NAMES = Statement("names", "SELECT name FROM things ORDER BY rowid")
TABLE = Statement("table", "CREATE TABLE things (name TEXT PRIMARY KEY)")


@pytest.fixture(params=["memory", "file"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "test.db" if request.param == "file" else None)
    await database.open()
    await database.execute(TABLE, {})
    yield database
    await database.aclose()


async def names(database: SqliteDatabase) -> list[str]:
    return [str(row["name"]) for row in await database.fetch(NAMES, {})]


async def test_a_write_is_read_by_whoever_asks_next(database: SqliteDatabase) -> None:
    """What `execute` returned is seen by `fetch`, by column name."""
    await database.execute(INSERT, {"name": "a"})
    assert await database.fetch(NAMES, {}) == [{"name": "a"}]


async def test_a_failing_write_hurts_no_neighbour(database: SqliteDatabase) -> None:
    """Of writes that are committed together, one that fails undoes only itself."""

    def half(conn: Connection) -> None:
        conn.execute("INSERT INTO things VALUES ('half')")
        raise ValueError("whole or nothing")

    ends = await asyncio.gather(
        database.execute(INSERT, {"name": "a"}),
        database.transact(half),
        database.execute(INSERT, {"name": "a"}),
        database.execute(INSERT, {"name": "b"}),
        return_exceptions=True,
    )
    assert [type(end) for end in ends] == [list, ValueError, sqlite3.IntegrityError, list]
    assert await names(database) == ["a", "b"]


async def test_effects_are_written_all_or_none(database: SqliteDatabase) -> None:
    """`apply` writes every effect in one transaction."""
    with pytest.raises(sqlite3.IntegrityError):
        await database.apply([Effect(INSERT, {"name": name}) for name in ("a", "b", "a")])
    assert await names(database) == []
    await database.apply([Effect(INSERT, {"name": name}) for name in ("a", "b")])
    assert await names(database) == ["a", "b"]


async def test_nothing_is_seen_before_its_commit(tmp_path: Path) -> None:
    """A reader sees a write when its group is committed and not before."""
    database = SqliteDatabase(tmp_path / "test.db")
    await database.open()
    await database.execute(TABLE, {})
    written, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(conn: Connection) -> None:
        conn.execute("INSERT INTO things VALUES ('a')")
        loop.call_soon_threadsafe(written.set)
        go_on.wait(10)

    writing = asyncio.create_task(database.transact(slow))
    await written.wait()
    assert await names(database) == []
    go_on.set()
    await writing
    assert await names(database) == ["a"]
    await database.aclose()


async def test_waiting_writes_share_a_commit(database: SqliteDatabase) -> None:
    """What queued up while the writer was busy is committed as one group, in its order."""
    commits: list[str] = []
    go_on = threading.Event()

    def hold(conn: Connection) -> None:
        conn.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        go_on.wait(10)

    held = asyncio.create_task(database.transact(hold))
    writes = [asyncio.create_task(database.execute(INSERT, {"name": f"{n}"})) for n in range(50)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(held, *writes)
    assert len(commits) <= 2
    assert await names(database) == [f"{n}" for n in range(50)]


async def test_only_a_write_that_may_be_lost_skips_the_disk(database: SqliteDatabase) -> None:
    """A commit waits for the disk (FULL, 2) unless every write in it said that it need not (NORMAL, 1)."""

    def level(conn: Connection) -> int:
        return int(conn.execute("PRAGMA synchronous").fetchone()["synchronous"])

    assert await database.transact(level) == 2
    assert await database.transact(level, durable=False) == 1
    assert await database.transact(level) == 2
    go_on = threading.Event()
    held = asyncio.create_task(database.transact(lambda _conn: go_on.wait(10), durable=False))
    await asyncio.sleep(0)
    mixed = [asyncio.create_task(database.transact(level, durable=durable)) for durable in (False, True)]
    await asyncio.sleep(0)
    go_on.set()
    await held
    assert 2 in await asyncio.gather(*mixed)


async def test_a_failed_commit_is_told_to_all_of_its_group(tmp_path: Path) -> None:
    """When the disk is full whoever is told so left nothing behind, and the next write works."""
    database = SqliteDatabase(tmp_path / "test.db")
    await database.open()
    await database.execute(TABLE, {})
    await database.transact(lambda conn: conn.execute("PRAGMA max_page_count = 1").fetchall())
    big = "x" * 2_000_000
    ends = await asyncio.gather(
        *(database.execute(INSERT, {"name": name}) for name in ("a", big, "b")), return_exceptions=True
    )
    assert isinstance(ends[1], DatabaseUnavailable)
    kept = [name for name, end in zip("a-b", ends, strict=True) if not isinstance(end, Exception)]
    assert await names(database) == kept
    await database.transact(lambda conn: conn.execute("PRAGMA max_page_count = 100000").fetchall())
    await database.execute(INSERT, {"name": "c"})
    assert await names(database) == [*kept, "c"]
    await database.aclose()


async def test_a_wrong_statement_is_no_outage(database: SqliteDatabase) -> None:
    """SQL that can never work is an error of the program, not something to try again."""
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.execute(Statement("wrong", "INSERT INTO nowhere VALUES (1)"), {})


async def test_a_caller_that_left_hurts_nobody(database: SqliteDatabase) -> None:
    """A cancelled caller's write may still happen; the others get their answers."""
    leaving = asyncio.create_task(database.execute(INSERT, {"name": "a"}))
    staying = asyncio.create_task(database.execute(INSERT, {"name": "b"}))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert "b" in await names(database)


async def test_closing_waits_for_what_was_asked(tmp_path: Path) -> None:
    """Writes that wait when `aclose` is called are written; later ones are refused, none hangs."""
    database = SqliteDatabase(tmp_path / "test.db")
    await database.open()
    await database.execute(TABLE, {})
    waiting = [asyncio.create_task(database.execute(INSERT, {"name": f"{n}"})) for n in range(50)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(database.aclose())
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailable):
        await database.execute(INSERT, {"name": "late"})
    await closing
    await asyncio.gather(*waiting)
    await database.aclose()
    with pytest.raises(DatabaseUnavailable):
        await database.fetch(NAMES, {})
    await database.open()
    assert len(await names(database)) == 50
    await database.aclose()


def test_time_never_repeats() -> None:
    """Two questions in one moment, from any thread, get two times; a clock set back is not followed."""
    clock = FakeClock(start=1000.0)
    database = SqliteDatabase(clock=clock)
    asked: list[int] = []
    threads = [
        threading.Thread(target=lambda: asked.extend(database.now_us() for _ in range(2000)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(asked)) == 8000
    clock.advance(-500)
    assert database.now_us() > max(asked)
    clock.advance(1500)
    assert database.now_us() == 2_000_000_000


HOLD = """
import asyncio, sys
from pathlib import Path
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.db.sqlite import SqliteDatabase
async def main():
    try:
        await SqliteDatabase(Path(sys.argv[1])).open()
    except DatabaseUnavailable as error:
        sys.exit(f"refused: {error}")
    print("open", flush=True)
    sys.stdin.read()
asyncio.run(main())
"""


async def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """While one process holds the file another is told so at once; when it dies the file is free."""
    path = tmp_path / "test.db"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:  # noqa: ASYNC220
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(DatabaseUnavailable, match="belongs to one process"):
            await SqliteDatabase(path).open()
        second = subprocess.run(command, capture_output=True, check=False)  # noqa: ASYNC221
        assert second.stderr.startswith(b"refused: Another process uses")
        holder.kill()
    database = SqliteDatabase(path)
    await database.open()
    await database.aclose()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file of something else, or a folder that is not there, is one clear error; the lock is given back."""
    path = tmp_path / "test.db"
    path.write_bytes(b"this is a poem, not a database" * 100)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match="not a database"):
            await SqliteDatabase(path).open()
    with pytest.raises(DatabaseUnavailable, match="No such file"):
        await SqliteDatabase(tmp_path / "nowhere" / "test.db").open()
