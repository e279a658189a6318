"""What the database on a server promises when the server does not keep still."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator, Sequence

import psycopg
import pytest

from media_pipeline.db.database import DatabaseUnavailable, Effect
from media_pipeline.db.group import Group
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.retry import OutcomeUnknown, Retry
from media_pipeline.db.session import Session
from media_pipeline.db.statements import Statement, number_params
from tests.servers.flaky import FlakyCursor, connect_flaky
from tests.servers.postgres import ROLE, OwnServer, postgres_server
from tests.servers.proxy import Fault, fault_proxy

INSERT = Statement("insert", "INSERT INTO notes (text) VALUES (:text)")
SELECT = Statement("select", "SELECT text FROM notes ORDER BY text")
KILL = Statement("kill", "SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
async def database(server: OwnServer) -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(server.create_database("moody"), retry=Retry(base=0.0))
    await database.execute(Statement("make", "CREATE TABLE notes (text TEXT PRIMARY KEY)"), {})
    yield database
    await database.aclose()


async def texts(database: PostgresDatabase) -> list[object]:
    return [row["text"] for row in await database.fetch(SELECT, {})]


async def test_a_restart_is_an_outage_and_no_more(server: OwnServer, database: PostgresDatabase) -> None:
    """While the server is away calls raise `DatabaseUnavailable`; once it is back they pass, unprompted."""
    await database.execute(INSERT, {"text": "before"})
    server.stop(signal.SIGQUIT)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await database.execute(INSERT, {"text": "lost"})
    server.start()
    await database.execute(INSERT, {"text": "after"})
    assert await texts(database) == ["after", "before"]


async def test_a_read_survives_a_broken_connection(database: PostgresDatabase) -> None:
    """A connection that broke while idle is replaced without the reader noticing."""
    with pytest.raises(OutcomeUnknown):
        await database.execute(KILL, {})
    assert await texts(database) == []


async def test_a_write_that_broke_off_says_so(database: PostgresDatabase) -> None:
    """When the answer is lost the call says that nobody knows, unless it was told that twice is as once."""
    with pytest.raises(OutcomeUnknown):
        await database.write(KILL, {})


async def test_a_connection_that_fell_silent_is_given_up(server: OwnServer) -> None:
    """A server that takes every byte and answers none is an outage in seconds; a new connection heals it."""
    server.create_database("silent")
    async with fault_proxy(server.socket) as proxy:
        url = f"postgresql://{ROLE}@127.0.0.1:{proxy.port}/silent"
        database = PostgresDatabase(url, lines=1, answer_seconds=1, retry=Retry(patience=30))
        await database.fetch(Statement("make", "CREATE TABLE IF NOT EXISTS notes (text TEXT)"), {})

        async def fall_silent(session: Session) -> None:
            await session.rows(*database.bind(INSERT, {"text": "amid"}))
            proxy.set(Fault(silent=True))

        async with asyncio.timeout(30):
            with pytest.raises(OutcomeUnknown):
                await database.transact(fall_silent)
            proxy.heal()
            assert await texts(database) == []
        await database.aclose()


async def test_a_transaction_that_broke_off_is_begun_again(database: PostgresDatabase) -> None:
    """Losing the connection before the commit is no doubt: the whole of it is done once more, once."""
    tries = 0

    async def work(session: object) -> None:
        nonlocal tries
        tries += 1
        assert hasattr(session, "rows")
        await session.rows(*database.bind(INSERT, {"text": "once"}))
        if tries == 1:
            await session.rows(*database.bind(KILL, {}))

    await database.transact(work)
    assert (tries, await texts(database)) == (2, ["once"])


async def test_effects_are_written_all_or_none(database: PostgresDatabase) -> None:
    """One effect that cannot be written keeps out the others."""
    with pytest.raises(psycopg.errors.UniqueViolation):
        await database.apply([Effect(INSERT, {"text": text}) for text in ("a", "b", "a")])
    assert await texts(database) == []
    await database.apply([Effect(INSERT, {"text": text}) for text in ("a", "b")])
    assert await texts(database) == ["a", "b"]


async def test_effects_that_take_rows_are_one_statement(database: PostgresDatabase) -> None:
    """Neighbours with one statement are one write of many rows; what else is asked keeps its place."""
    rows = Statement("rows", "INSERT INTO notes (text) SELECT * FROM unnest(:text::TEXT[])", rows=True)
    effects = [Effect(rows, {"text": text}) for text in ("b", 'ü\\"')]
    effects += [Effect(INSERT, {"text": "c"}), Effect(rows, {"text": "a"})]
    assert [text for text, _ in database.bind_all(effects)] == [
        "INSERT INTO notes (text) SELECT * FROM unnest($1::TEXT[])",
        "INSERT INTO notes (text) VALUES ($1)",
        "INSERT INTO notes (text) SELECT * FROM unnest($1::TEXT[])",
    ]
    await database.apply(effects)
    assert await texts(database) == ["a", "b", "c", 'ü\\"']


async def test_conflicts_are_tried_again_until_patience_ends(
    server: OwnServer, database: PostgresDatabase
) -> None:
    """40001 is repeated; when it does not stop it is an outage, and nothing has happened."""
    FlakyCursor.dice.seed(20)
    patient = PostgresDatabase(server.url("moody"), connect=connect_flaky, retry=Retry(base=0.0))
    await asyncio.gather(*(patient.execute(INSERT, {"text": f"{n}"}) for n in range(20)))
    await patient.aclose()
    hasty = PostgresDatabase(server.url("moody"), connect=connect_flaky, retry=Retry(base=0.0, patience=0.0))
    ends = await asyncio.gather(
        *(hasty.execute(INSERT, {"text": f"more {n}"}) for n in range(40)), return_exceptions=True
    )
    refused = [end for end in ends if isinstance(end, DatabaseUnavailable)]
    assert 0 < len(refused) < 40
    assert len(await texts(database)) == 20 + 40 - len(refused)
    await hasty.aclose()


async def test_what_arrives_together_is_one_round() -> None:
    """Whoever is alone goes at once; whoever comes meanwhile shares the next round, up to its size."""
    rounds: list[list[int]] = []
    begun, gate = asyncio.Event(), asyncio.Event()

    async def run(asked: Sequence[int]) -> list[int | Exception]:
        rounds.append(list(asked))
        begun.set()
        await gate.wait()
        return [number * 2 for number in asked]

    group: Group[int, int] = Group(run, most=3)
    first = group.join(0)
    await begun.wait()
    others = [group.join(number) for number in range(1, 6)]
    gate.set()
    assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
    assert rounds == [[0], [1, 2, 3], [4, 5]]


async def test_one_at_fault_hurts_no_neighbour() -> None:
    """A round that raises is halved until the one at fault stands alone; an outage is everybody's."""

    async def run(asked: Sequence[int]) -> list[int | Exception]:
        if 13 in asked:
            raise ValueError("13")
        if 99 in asked:
            raise DatabaseUnavailable("away")
        return list(asked)

    group: Group[int, int] = Group(run)
    ends = await asyncio.gather(*(group.join(number) for number in (11, 12, 13, 14)), return_exceptions=True)
    assert [end if isinstance(end, int) else type(end) for end in ends] == [11, 12, ValueError, 14]
    ends = await asyncio.gather(*(group.join(number) for number in (1, 99)), return_exceptions=True)
    assert [type(end) for end in ends] == [DatabaseUnavailable] * 2


def test_parameters_are_numbered_once_each() -> None:
    """A name that comes twice is one parameter; casts and constants are none."""
    text = "SELECT :b::TEXT, :a, :b WHERE x > :now AND y = 'z::INT8'"
    assert number_params(text, {"now": "now()"}) == (
        "SELECT $1::TEXT, $2, $1 WHERE x > now() AND y = 'z::INT8'",
        ["b", "a"],
    )


async def test_a_column_that_is_added_is_no_error(server: OwnServer, database: PostgresDatabase) -> None:
    """A next release changes a table under statements that are planned; all goes on."""
    read = Statement("read", "SELECT * FROM notes")
    write = Statement("write", "INSERT INTO notes (text) VALUES (:text) RETURNING *")
    both = [Effect(write, {"text": "c"}), Effect(read, {})]
    await database.execute(write, {"text": "a"})
    assert await database.fetch(read, {}) == [{"text": "a"}]
    await database.apply(both)
    server.administer("ALTER TABLE notes ADD COLUMN more TEXT", database="moody")
    assert {"text": "a", "more": None} in await database.fetch(read, {})
    assert await database.execute(write, {"text": "b"}) == [{"text": "b", "more": None}]
    await database.apply([Effect(write, {"text": "d"}), Effect(read, {})])
    assert await texts(database) == ["a", "b", "c", "d"]
