"""The queue's statements on a SQL server stay on their indexes, 50,000 finished jobs beside the live ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.session import PLANNING
from media_pipeline.db.statements import number_params
from media_pipeline.queue.postgres_table import SQL
from tests.servers.postgres import OwnServer, shared_server

pytestmark = pytest.mark.skipif(
    not isinstance(shared_server(), OwnServer), reason="reads PostgreSQL's own plans"
)
FINISHED = 50_000
FILL = """
INSERT INTO jobs (id, user_id, kind, state, lane, ord, payload, max_failures, created_at, finished_at, result,
                  settled)
SELECT 'job-' || n, 'user-' || n %% 100, 'image', 'succeeded', 1, n, '{}', 5, n, n, '{}', true
FROM generate_series(1, %s) AS n
"""
BURST = """
INSERT INTO jobs (id, user_id, active_user, kind, state, lane, ord, payload, max_failures, created_at)
SELECT 'new-' || n, 'user-' || n % 100, 'user-' || n % 100, 'image', 'available', 1, n, '{}', 5, n
FROM generate_series(1, 20000) AS n
"""
READ_BY = {
    "claim": {"jobs_ready", "jobs_pkey"},
    "look": {"jobs_ready", "workers_pkey"},
    "finish": {"jobs_pkey"},
    "leave": {"jobs_pkey"},
    "record": {"jobs_pkey"},
    "running": {"jobs_pkey"},
    "promote": {"jobs_active", "jobs_blocked", "jobs_pkey"},
    "insert": {"jobs_active"},
    "insert_one": {"jobs_active"},
    "list": {"jobs_of_user"},
    "forget": {"jobs_of_user", "jobs_pkey"},
    "next_due": {"jobs_scheduled"},
    "unsettled": {"jobs_unsettled"},
    "blocked_users": {"jobs_blocked"},
    "held": {"jobs_running"},
}
Plan = dict[str, Any]


@pytest.fixture(scope="module", params=["the first start", "a quiet morning", "a burst", "a full history"])
def conn(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Tables that are still empty, or with statistics of an empty queue, of one before a burst, or true."""
    url = shared_server().create_database("plans")
    asyncio.run(migrate_at(url))
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as conn:
        for setting in PLANNING:
            conn.execute(f"SET {setting}".encode())
        if request.param == "the first start":
            yield conn
            return
        if request.param == "a burst":
            conn.execute("ANALYZE jobs")
        conn.execute(FILL, [FINISHED])
        if request.param == "a burst":
            conn.execute("ANALYZE jobs")
        conn.execute(BURST)
        if request.param == "a full history":
            conn.execute("ANALYZE jobs")
        yield conn


async def migrate_at(url: str) -> None:
    database = PostgresDatabase(url, lines=1)
    await migrate(database)
    await database.aclose()


def explain(conn: psycopg.Connection[tuple[Any, ...]], name: str) -> list[Plan]:
    """Return the nodes of a statement's generic plan."""
    text, names = number_params(SQL[name].text, {"now": "(extract(epoch FROM now()) * 1000000)::INT8"})
    conn.execute(f"PREPARE {name}_plan AS {text}".encode())
    nulls = f"({', '.join(['NULL'] * len(names))})" if names else ""
    row = conn.execute(f"EXPLAIN (FORMAT JSON) EXECUTE {name}_plan {nulls}".encode()).fetchone()
    conn.execute(f"DEALLOCATE {name}_plan".encode())
    assert row is not None
    return list(walk(row[0][0]["Plan"]))


def walk(plan: Plan) -> Iterator[Plan]:
    yield plan
    for below in plan.get("Plans", []):
        yield from walk(below)


@pytest.mark.parametrize("name", sorted(READ_BY))
def test_a_statement_reads_by_its_index(conn: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
    """Whenever its plan was made, no statement walks through the jobs, and each reads by its own index."""
    plans = explain(conn, name)
    assert [
        plan for plan in plans if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] == "jobs"
    ] == []
    used = {plan["Index Name"] for plan in plans if "Index Name" in plan}
    assert used <= READ_BY[name]
    assert used & {index for index in READ_BY[name] if index.startswith("jobs")}


def test_what_a_claim_picked_is_taken_by_its_key(conn: psycopg.Connection[tuple[Any, ...]]) -> None:
    """A claim finds the rows it takes by their keys, never by way of every job that is available."""
    plans = explain(conn, "claim")
    assert [plan["Index Name"] for plan in plans if plan.get("Alias") == "j" and "Index Name" in plan] == [
        "jobs_pkey"
    ]
    picking = [plan for plan in plans if plan.get("Index Name") == "jobs_ready"]
    assert ["kind" in plan.get("Index Cond", "") for plan in picking] == [True]


@pytest.mark.parametrize("name", ["claim", "look", "list", "next_due", "unsettled", "blocked_users"])
def test_the_index_gives_the_order(conn: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
    """Nothing is collected and sorted."""
    assert [plan for plan in explain(conn, name) if "Sort" in plan["Node Type"]] == []


@pytest.mark.parametrize("name", ["insert", "insert_one", "promote"])
def test_a_window_is_counted_once(conn: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
    """However often a statement asks how many jobs of a user are in play, they are counted one time."""
    counts = [plan for plan in explain(conn, name) if plan.get("Index Name") == "jobs_active"]
    assert len(counts) == 1
