"""Every statement for servers stays within what CockroachDB parses and plans; it cannot be run here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from pglast.parser import parse_sql_json

from media_pipeline.db.migrate import find_migrations
from media_pipeline.db.statements import Statement, load_statements, number_params

QUEUE = load_statements("media_pipeline.queue", "sql/postgres.sql")
LIBRARY = {
    **load_statements("media_pipeline.media", "sql/library.sql"),
    **load_statements("media_pipeline.media", "sql/library.postgres.sql"),
    **load_statements("media_pipeline.media", "sql/quota.sql"),
    **{f"limits.{n}": s for n, s in load_statements("media_pipeline.media", "sql/limits.sql").items()},
    **load_statements("media_pipeline.media", "sql/erase.sql"),
}
FLEET = load_statements("media_pipeline.generation", "sql/fleet.sql")
STATEMENTS: Final[Mapping[str, Statement]] = {
    **{f"queue.{name}": statement for name, statement in QUEUE.items()},
    **{f"library.{name}": statement for name, statement in LIBRARY.items()},
    **{f"fleet.{name}": statement for name, statement in FLEET.items()},
}
STEPS = {step.name: step for step in find_migrations("postgres")}

FORBIDDEN = re.compile(
    r"\b(LISTEN|NOTIFY|UNLISTEN|LOCK TABLE|MERGE|VACUUM|REINDEX|DOMAIN|EXCLUDE|RULE|DEFERRABLE"
    r"|NULLS NOT DISTINCT|PARTITION BY (LIST|RANGE|HASH)|ON COMMIT|TABLESAMPLE|TRIGGER|LANGUAGE|DO \$|ENUM"
    r"|SERIAL|SEQUENCE|NEXTVAL"
    r"|INHERITS|UNLOGGED|JSON_TABLE|MAKE_INTERVAL|INTERVAL|CTID|XMIN|PG_\w+|COLLATE|TEMP|TEMPORARY)\b|=>",
    re.IGNORECASE,
)
"""Refused by CockroachDB's grammar, taken without doing it, or different there."""

FUNCTIONS: Final = {
    "unnest", "count", "row_number", "coalesce", "min", "max", "now", "extract",
    "string_to_array", "substr", "length", "sum", "convert_to", "array_agg",
}  # fmt: skip
"""Built-ins that both have under one name and meaning."""

MUTATIONS: Final = {"InsertStmt", "UpdateStmt", "DeleteStmt"}
CHANGES: Final = {"CreateStmt", "IndexStmt", "AlterTableStmt", "DropStmt", *MUTATIONS}


def parse(text: str) -> list[Any]:
    numbered, _ = number_params(text, {"now": "(extract(epoch FROM now()) * 1000000)::INT8"})
    statements: list[Any] = json.loads(parse_sql_json(numbered))["stmts"]
    return [statement["stmt"] for statement in statements]


def nodes(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield every node of a parse tree with its kind."""
    if isinstance(tree, dict):
        for kind, node in tree.items():
            yield kind, node
            yield from nodes(node)
    elif isinstance(tree, list):
        for node in tree:
            yield from nodes(node)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_a_statement_uses_only_what_both_servers_have(name: str) -> None:
    """One statement, no refused word, and no function but those known on both."""
    text = STATEMENTS[name].text
    (tree,) = parse(text)
    assert FORBIDDEN.search(text) is None
    called = {node["funcname"][-1]["String"]["sval"] for kind, node in nodes(tree) if kind == "FuncCall"}
    assert called <= FUNCTIONS


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_a_statement_writes_one_table_once(name: str) -> None:
    """CockroachDB refuses two writes of one table in a statement, and writes below the top level."""
    (tree,) = parse(STATEMENTS[name].text)
    ((top, _),) = tree.items()
    written = [kind for kind, _ in nodes(tree) if kind in MUTATIONS]
    assert written == [top] * (top in MUTATIONS)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_locks_and_limits_are_plain(name: str) -> None:
    """Row locks skip, stand in a simple SELECT of one table in index order; no LIMIT is an expression."""
    for kind, node in nodes(parse(STATEMENTS[name].text)):
        if kind == "lockingClause":
            assert [lock["LockingClause"]["waitPolicy"] for lock in node] == ["LockWaitSkip"]
        if kind == "limitCount":
            assert node.keys() <= {"ParamRef", "A_Const"}


def test_the_claim_alone_locks_rows() -> None:
    """Nothing but the claim takes row locks, so nothing else waits on them."""
    locking = [name for name, statement in STATEMENTS.items() if "FOR UPDATE" in statement.text]
    assert locking == ["queue.claim"]


@pytest.mark.parametrize("name", sorted(STEPS))
def test_a_step_is_one_change_that_bears_repeating(name: str) -> None:
    """One statement a file, IF NOT EXISTS or IF EXISTS, no refused word."""
    text = "\n".join(line for line in STEPS[name].text.splitlines() if not line.startswith("--"))
    (tree,) = parse(text)
    ((top, node),) = tree.items()
    assert top in CHANGES
    changed = [command["AlterTableCmd"] for command in node.get("cmds", [])]
    bears = node.get("if_not_exists") or node.get("missing_ok") or top in MUTATIONS
    assert bears or (changed and all(command.get("missing_ok") for command in changed))
    assert FORBIDDEN.search(text) is None


@pytest.mark.parametrize(
    "text", ["LISTEN jobs", "SELECT pg_notify('a', 'b')", "SELECT f(a => 1)", "CREATE TEMP TABLE t()"]
)
def test_the_lint_sees(text: str) -> None:
    """What must not come in is found."""
    assert FORBIDDEN.search(text) is not None
