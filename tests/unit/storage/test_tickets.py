from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_pipeline.storage.store import UploadRefused
from media_pipeline.storage.tickets import Refusal, Ticket, TicketRefused, check_declared, sign, verify

SECRET = b"secret"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
PATH = "media/1/a b/ü.png"
MAX = 1000
PLAIN = Ticket(path=PATH, content_type="image/png", size=None, max_bytes=MAX, expires_at=LATER)
SIZED = replace(PLAIN, size=5, max_bytes=5)


def carried(ticket: Ticket, *, secret: bytes = SECRET) -> dict[str, str]:
    url = sign(ticket, base_url="http://host", secret=secret)
    return dict(parse_qsl(urlsplit(url).query, strict_parsing=True))


def checked(query: dict[str, str], *, path: str = PATH, now: datetime = NOW) -> Ticket:
    return verify(path, query, secret=SECRET, now=now, max_bytes=MAX)


def refusal(query: dict[str, str], *, path: str = PATH, now: datetime = NOW) -> Refusal:
    with pytest.raises(TicketRefused) as caught:
        checked(query, path=path, now=now)
    return caught.value.reason


@pytest.mark.parametrize(
    "ticket", [PLAIN, SIZED, replace(PLAIN, content_type=""), replace(SIZED, size=0, max_bytes=0)]
)
def test_a_signed_ticket_comes_back_as_it_was(ticket: Ticket) -> None:
    """What was signed is what is verified."""
    assert checked(carried(ticket)) == ticket


def test_the_url_names_the_path_once_encoded() -> None:
    """The path is percent-encoded once, with its slashes, under the base URL."""
    url = sign(PLAIN, base_url="http://host/", secret=SECRET)
    assert url.startswith("http://host/storage/media/1/a%20b/%C3%BC.png?exp=")


@given(
    st.sampled_from(["exp", "size", "ct", "sig"]),
    st.text(max_size=12) | st.sampled_from(["5", "6", "image/png", "image/svg+xml", "1795435260"]),
)
def test_a_changed_ticket_is_forged(name: str, value: str) -> None:
    """Whatever parameter is changed or added, the ticket is refused."""
    query = carried(SIZED)
    if query[name] != value:
        assert refusal({**query, name: value}) is Refusal.SIGNATURE


@pytest.mark.parametrize("name", ["exp", "size", "ct", "sig"])
def test_a_shortened_ticket_is_forged(name: str) -> None:
    """Leaving out a parameter does not widen what is allowed."""
    query = carried(SIZED)
    del query[name]
    assert refusal(query) is Refusal.SIGNATURE


def test_a_ticket_is_for_its_path_alone() -> None:
    """A ticket does not open another path."""
    assert refusal(carried(PLAIN), path=PATH + "x") is Refusal.SIGNATURE


def test_another_secret_signs_nothing_here() -> None:
    """A ticket of another service is refused."""
    assert refusal(carried(PLAIN, secret=b"other")) is Refusal.SIGNATURE


def test_a_ticket_ends_at_its_instant() -> None:
    """It is good until the second it names and refused from then on."""
    query = carried(PLAIN)
    assert checked(query, now=LATER - timedelta(microseconds=1)) == PLAIN
    assert refusal(query, now=LATER) is Refusal.EXPIRED


@pytest.mark.parametrize("content_type", ["image/png\r\nX-Evil: 1", "image/ü", " image/png", "image/png "])
def test_a_type_that_no_header_carries_is_not_signed(content_type: str) -> None:
    """A content type is one line of printable ASCII."""
    with pytest.raises(UploadRefused):
        sign(replace(PLAIN, content_type=content_type), base_url="http://host", secret=SECRET)


@pytest.mark.parametrize(
    ("ticket", "content_type", "length", "reason"),
    [
        (PLAIN, "image/png", None, None),
        (PLAIN, "image/png", MAX, None),
        (PLAIN, "image/png", 0, None),
        (PLAIN, "image/png", MAX + 1, Refusal.TOO_LARGE),
        (PLAIN, "image/jpeg", 1, Refusal.TYPE),
        (PLAIN, "", 1, Refusal.TYPE),
        (replace(PLAIN, content_type=""), "", 1, None),
        (replace(PLAIN, content_type=""), "image/png", 1, None),
        (SIZED, "image/png", 5, None),
        (SIZED, "image/png", None, None),
        (SIZED, "image/png", 6, Refusal.TOO_LARGE),
        (SIZED, "image/png", 4, Refusal.SIZE),
    ],
)
def test_headers_are_held_against_the_ticket(
    ticket: Ticket, content_type: str, length: int | None, reason: Refusal | None
) -> None:
    """Another type, too many bytes and a wrong exact size are refused before the body."""
    if reason is None:
        check_declared(ticket, content_type=content_type, content_length=length)
    else:
        with pytest.raises(TicketRefused) as caught:
            check_declared(ticket, content_type=content_type, content_length=length)
        assert caught.value.reason is reason
