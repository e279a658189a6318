"""The server that other tests rely on."""

import hiredis
import pytest

from .redis import redis_server


def test_a_killed_server_comes_back_empty_at_its_address() -> None:
    """After `kill` and `start` the same address answers and nothing is kept."""
    with redis_server() as server:
        server.ask("SET", "a", "1")
        server.kill()
        with pytest.raises(OSError, match="refused"):
            server.ask("PING")
        server.start()
        assert server.ask("GET", "a") is None


def test_it_is_new_enough() -> None:
    """The server knows what the bus needs: an entry's number given by the server, within our epoch."""
    with redis_server() as server:
        assert server.ask("XADD", "s", "7-*", "a", "1") == b"7-0"
        with pytest.raises(hiredis.ReplyError, match="smaller"):
            server.ask("XADD", "s", "6-*", "a", "1")
