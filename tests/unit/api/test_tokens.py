"""Tokens that come again."""

import time

import pytest

from media_pipeline.api import auth
from media_pipeline.api.auth import Tokens
from media_pipeline.ids import UserId

SECRET = "s" * 32


def test_a_remembered_token_ends_when_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was good once is refused after its expiry like any other."""
    tokens = Tokens(SECRET)
    token = tokens.issue(UserId("ann"), seconds=60)
    identity = tokens.verify(token)
    assert identity is not None
    assert tokens.verify(token) is identity
    assert identity.expires_at is not None
    after = identity.expires_at + 1
    monkeypatch.setattr(time, "time", lambda: after)
    monkeypatch.setattr("jwt.api_jwt.datetime", _Clock(after))
    assert tokens.verify(token) is None


class _Clock:
    """Stand in for the library's own reading of the time."""

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self, tz: object = None) -> "_Clock":
        return self

    def timestamp(self) -> float:
        return self._now


def test_a_refused_token_is_not_remembered() -> None:
    """What was no token is read again each time, and what differs by a character is another token."""
    tokens = Tokens(SECRET)
    token = tokens.issue(UserId("ann"))
    assert tokens.verify(token) is not None
    assert tokens.verify(token[:-1]) is None
    assert tokens.verify(Tokens("t" * 32).issue(UserId("ann"))) is None
    assert len(tokens._known) == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens come, so many are remembered at most, and all are accepted."""
    monkeypatch.setattr(auth, "MAX_KNOWN_TOKENS", 3)
    tokens = Tokens(SECRET)
    for number in range(10):
        assert tokens.verify(tokens.issue(UserId(f"user{number}"))) is not None
        assert len(tokens._known) <= 3
