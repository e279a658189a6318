"""Moving a stream's token to where every other request has it."""

from typing import Any

import pytest

from media_pipeline.api.stream_token import TokenPlace, move_token


def scope(query: str = "", **headers: str) -> dict[str, Any]:
    return {
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    }


def bearer(moved: Any) -> list[bytes]:
    return [value for name, value in moved["headers"] if name == b"authorization"]


def test_an_address_loses_its_token() -> None:
    """The token goes to the header; what else the address says stays."""
    moved = move_token(scope("lastEventId=e%3A1&access_token=a.b&jobId=%26"), "query")
    assert bearer(moved) == [b"Bearer a.b"]
    assert moved["query_string"] == b"lastEventId=e%3A1&jobId=%26"


@pytest.mark.parametrize("cookie", ["media_token=a.b", "x=1; media_token=a.b; y=2", 'media_token="a.b"'])
def test_a_cookie_is_found_among_others(cookie: str) -> None:
    """The cookie counts wherever it stands."""
    assert bearer(move_token(scope(cookie=cookie), "cookie")) == [b"Bearer a.b"]


@pytest.mark.parametrize("place", ["query", "cookie"])
def test_a_header_wins(place: TokenPlace) -> None:
    """A token in the header is never replaced, and one in the address is taken out all the same."""
    moved = move_token(
        scope("access_token=other", authorization="Bearer mine", cookie="media_token=other"), place
    )
    assert bearer(moved) == [b"Bearer mine"]
    if place == "query":
        assert moved["query_string"] == b""


@pytest.mark.parametrize(
    ("query", "cookie", "place"),
    [
        ("access_token=a", "media_token=a", "header"),
        ("", "media_token=a", "query"),
        ("access_token=a", "", "cookie"),
        ("access_token=", "media_token=", "query"),
        ("", "\xff=;;\x00", "cookie"),
    ],
)
def test_nothing_is_moved_that_is_not_allowed(query: str, cookie: str, place: TokenPlace) -> None:
    """Another place than the setting's, an empty token and garbage leave the request without one."""
    assert bearer(move_token(scope(query, cookie=cookie), place)) == []
