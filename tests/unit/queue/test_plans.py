"""The queue's statements stay on their indexes with 50,000 finished jobs beside the live ones."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

import pytest

from media_pipeline.db.migrate import find_migrations
from media_pipeline.queue.sqlite_moves import SQL

FINISHED = 50_000
PLANS = {
    "find_key": "jobs_idempotency",
    "in_play": "jobs_active",
    "list": "jobs_of_user",
    "next_owner": "jobs_of_user",
    "forget": "jobs_of_user",
    "held": "jobs_running",
    "claim": "jobs_ready",
    "is_blocked": "jobs_blocked",
    "promote": "jobs_blocked",
    "blocked_users": "jobs_blocked",
    "due": "jobs_scheduled",
    "next_due": "jobs_scheduled",
    "abandoned": "jobs_running",
    "cancel_requests": "jobs_running",
    "unsettled": "jobs_unsettled",
    "prune": "jobs_settled",
}
"""The index each statement reads by; every other statement finds its rows by primary key."""


@pytest.fixture(scope="module")
def conn() -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(":memory:")
    for migration in find_migrations("sqlite"):
        conn.executescript(migration.text)
    conn.executemany(
        "INSERT INTO jobs (id, user_id, kind, state, lane, ord, payload, max_failures, created_at,"
        " finished_at, result, settled) VALUES (?, ?, 'image', 'succeeded', 1, ?, '{}', 5, ?, ?, '{}', 1)",
        ((f"job-{n}", f"user-{n % 100}", n, n, n) for n in range(FINISHED)),
    )
    yield conn
    conn.close()


def plan(conn: sqlite3.Connection, name: str) -> list[str]:
    params = dict.fromkeys(re.findall(r":([a-z_]+)", SQL[name]), 1)
    return [row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", params)]


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("name", sorted(set(SQL) - {"bury", "bury_all"}))
def test_a_statement_reads_by_its_index(conn: sqlite3.Connection, name: str, analyzed: bool) -> None:
    """No statement walks through the finished jobs, with statistics of a full table or without any."""
    if analyzed:
        conn.execute("ANALYZE")
    steps = plan(conn, name)
    scans = [step for step in steps if step.startswith("SCAN jobs") and "USING" not in step]
    assert scans == []
    if name in {"insert", "register"}:
        assert steps == []
        return
    assert PLANS.get(name, "SEARCH" if name != "depth" else "SCAN jobs USING INDEX") in " ".join(steps)
    others = [step for step in steps if " jobs_" in step]
    assert name in {*PLANS, "depth"} or others == []


@pytest.mark.parametrize(
    "name", ["claim", "promote", "list", "due", "blocked_users", "unsettled", "prune", "insert"]
)
def test_a_statement_needs_no_sorting(conn: sqlite3.Connection, name: str) -> None:
    """The index gives the order; nothing is collected and sorted."""
    assert not [step for step in plan(conn, name) if "TEMP B-TREE" in step]


def test_the_window_is_counted_in_the_index_alone(conn: sqlite3.Connection) -> None:
    """Counting a user's jobs in play touches no row of theirs."""
    for name in ("in_play", "promote"):
        assert any("COVERING INDEX jobs_active" in step for step in plan(conn, name))
