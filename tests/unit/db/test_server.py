"""What the suite's own PostgreSQL promises."""

from __future__ import annotations

import signal

import psycopg
import pytest

from tests.servers.postgres import postgres_server


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_of_its_own_comes_back(sign: signal.Signals) -> None:
    """A database of an unprivileged role is still there after the server was broken off."""
    with postgres_server() as server:
        url = server.create_database("kept")
        with psycopg.connect(url) as conn:
            assert conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (
                False,
            )
            conn.execute("CREATE TABLE notes (text TEXT)")
        server.stop(sign)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        server.start()
        with psycopg.connect(url) as conn:
            assert conn.execute("SELECT count(*) FROM notes").fetchone() == (0,)
