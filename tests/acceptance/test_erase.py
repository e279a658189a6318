"""`media-pipeline erase`: of the user nothing is left, of others everything, however often it was killed."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.fleet import fleet_in
from tests.acceptance.process import SECRET, run, started
from tests.integration.program import Api, picture
from tests.servers.postgres import shared_server
from tests.servers.redis import redis_server

GONE, CANARY = "gone@example.com", "wolpertinger"
STAYS = "stays"
LIMITS: dict[str, Any] = {
    "media_quota_bytes": 1 << 30,
    "media_quota_items_per_day": 1000,
    "media_requests_per_minute": 10_000,
}
BOOKS = {"media_owners", "expenses", "request_counts"}
INDEXED = f"INSERT INTO media_indexed (user_id, began, ready_at) VALUES ('{GONE}', 0, 0), ('{STAYS}', 0, 0)"
"""As if both had large libraries."""
Table = dict[str, list[tuple[Any, ...]]]


async def live(api: Api, words: str) -> None:
    """Leave a trace in every table: pictures, an upload, one that never comes, a failure, one that waits."""
    await api.end(await api.generate(prompt=f"a {words}"))
    await api.upload(picture(), filename=f"{words}.png")
    await api.init(filename=f"{words}.png", contentType="image/png", size=5)
    item = (await api.items())[0]
    await api.ask("PATCH", f"/media/{item['path']}", {"name": words, "alt": words})
    await api.ask("POST", "/media/import", {"url": f"https://127.0.0.1:1/{words}.png"})
    await api.ask("POST", "/generate/image", {"prompt": words, "width": 64, "height": 64})


def traces(tables: Table, *marks: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows that hold one of these marks in any column, as text or bytes."""

    def holds(row: Iterable[Any]) -> bool:
        texts = [
            value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in row
        ]
        return any(mark.lower() in text.lower() for mark in marks for text in texts)

    found = {name: [row for row in rows if holds(row)] for name, rows in tables.items()}
    return {name: rows for name, rows in found.items() if rows}


def read_sqlite(path: Path) -> Table:
    with closing(sqlite3.connect(path)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {name: database.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names}


def read_server(url: str) -> Table:
    with psycopg.connect(url) as database:
        names = database.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
        ).fetchall()
        return {name: database.execute(f"SELECT * FROM {name}".encode()).fetchall() for (name,) in names}


def files(folder: Path, *marks: str) -> list[str]:
    """Return what below a folder is named by one of these marks, or holds one."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and any(mark in str(path.relative_to(folder)) or mark.encode() in path.read_bytes() for mark in marks)
    ]


MARKS = (GONE, "gone=40example=2Ecom", CANARY)


async def erase_in_pieces(erase: Callable[..., Awaitable[int]], points: Sequence[int]) -> None:
    """Kill it at one passage after another, then let it come to its end, twice."""
    for point in points:
        assert await erase(media_failpoint=f"mid_erase:{point}") == -signal.SIGKILL
    assert await erase() == 0
    assert await erase() == 0


async def test_a_user_is_erased_from_one_machine(tmp_path: Path) -> None:
    """SQLite and a folder, the service stopped: killed three times on the way, in the end nothing is left."""
    settings = LIMITS
    with started(tmp_path, **settings) as service:
        with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as file:
            file.execute(INDEXED)
        for user, words in ((GONE, CANARY), (STAYS, "jackalope")):
            async with service.user(user) as api:
                await live(api, words)
        service.signal(signal.SIGKILL)  # in the middle of what was asked for last
        await service.ended()
    durable = {
        "database_url": f"sqlite:///{tmp_path}/jobs.db",
        "storage_dir": tmp_path / "store",
        "auth_jwt_secret": SECRET,
        **settings,
    }

    async def erase(**given: object) -> int:
        done = await asyncio.to_thread(run, tmp_path, "erase", "--user", GONE, **durable, **given)
        assert "media_failpoint" in given or done.stdout.startswith("erased: "), done.stderr
        return done.returncode

    before = read_sqlite(tmp_path / "jobs.db")
    everywhere = {"jobs", "media", "media_words", "media_indexed", "media_reserved", *BOOKS}
    assert everywhere <= traces(before, *MARKS).keys()
    await erase_in_pieces(erase, [1, 3, 2])
    after = read_sqlite(tmp_path / "jobs.db")
    assert traces(after, *MARKS) == {}
    check_others(before, after)
    assert files(tmp_path / "store", *MARKS) == []
    assert files(tmp_path / "store" / "objects", STAYS)


def check_others(before: Table, after: Table) -> None:
    """Assert that what another user has stands as it stood; their own jobs may have moved on."""
    for name in ("media", "media_words", "media_indexed", "media_owners"):
        kept = [row for row in before[name] if STAYS in row]
        assert kept
        assert set(kept) <= set(after[name])
    assert len([row for row in before["jobs"] if STAYS in row]) == len(
        [row for row in after["jobs"] if STAYS in row]
    )


@pytest.mark.parametrize("points", [[2], pytest.param([1, 2, 3, 4, 5], marks=pytest.mark.long)])
async def test_a_user_is_erased_beside_a_working_fleet(tmp_path: Path, points: list[int]) -> None:
    """PostgreSQL, Redis and workers at work: running jobs are stopped first, kept events go too."""
    database = shared_server().create_database("erase")
    with redis_server() as redis:
        async with fleet_in(
            tmp_path,
            database=database,
            redis=redis.url,
            media_keep_jobs_seconds=86400,
            **LIMITS,
        ) as fleet:
            await fleet.serve()
            await fleet.work()
            with psycopg.connect(database, autocommit=True) as server:
                server.execute(INDEXED)
            for user, words in ((GONE, CANARY), (STAYS, "jackalope")):
                async with fleet.user(user) as api:
                    await live(api, words)
            before = read_server(database)
            assert redis.ask("EXISTS", f"media-pipeline:{{{GONE}}}:history") == 1

            async def erase(**given: object) -> int:
                process = await fleet.command("erase", "--user", GONE, **given)
                return await process.wait()

            await erase_in_pieces(erase, points)
            after = read_server(database)
            assert traces(after, *MARKS) == {}
            check_others(before, after)
            keys = redis.ask("KEYS", "*")
            assert isinstance(keys, list)
            assert not [key for key in keys if GONE.encode() in key]
            assert [key for key in keys if STAYS.encode() in key]
            # The journal of a shared folder keeps names until somebody opens the folder alone.
            assert set(files(tmp_path / "store", *MARKS)) <= {"objects/changes"}
            async with fleet.user(STAYS) as api:
                assert len(await api.items()) >= 2
