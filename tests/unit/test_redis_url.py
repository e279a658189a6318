"""Addresses of Redis."""

import pytest

from media_pipeline.redis_url import Login, RedisUrl


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://localhost", RedisUrl(hosts=(("localhost", 6379),))),
        ("redis://cache:7000/3", RedisUrl(hosts=(("cache", 7000),), database=3)),
        ("redis://cache?db=4", RedisUrl(hosts=(("cache", 6379),), database=4)),
        ("redis://[::1]:7000", RedisUrl(hosts=(("::1", 7000),))),
        ("redis://:p%40ss@cache", RedisUrl(hosts=(("cache", 6379),), login=Login("default", "p@ss"))),
        ("redis://ann:secret@cache", RedisUrl(hosts=(("cache", 6379),), login=Login("ann", "secret"))),
        ("rediss://cache", RedisUrl(hosts=(("cache", 6379),), tls=True)),
        (
            "rediss://cache?ssl_ca_certs=/ca.pem&ssl_cert_reqs=none",
            RedisUrl(hosts=(("cache", 6379),), tls=True, ca_file="/ca.pem", verify=False),
        ),
        ("unix:///run/redis.sock?db=2", RedisUrl(path="/run/redis.sock", database=2)),
        ("unix://:word@/run/redis.sock", RedisUrl(path="/run/redis.sock", login=Login("default", "word"))),
        (
            "redis+sentinel://:word@one,two:7/main/5?sentinel_password=other",
            RedisUrl(
                hosts=(("one", 26379), ("two", 7)),
                service="main",
                database=5,
                login=Login("default", "word"),
                sentinel_login=Login("default", "other"),
            ),
        ),
    ],
)
def test_an_address_is_taken_apart(text: str, expected: RedisUrl) -> None:
    """Every documented form gives its parts, escapes undone."""
    assert RedisUrl.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "cache", "http://cache", "redis://", "redis:///1", "redis://cache:x", "redis://cache:70000"),
        *("redis://cache/one", "redis://cache/1/2", "redis://one,two", "redis://[::1", "redis://[x]y"),
        *("unix://", "redis+sentinel://one", "redis+sentinel://one,/main", "redis://cache?timeout=1"),
    ],
)
def test_what_is_no_address_is_refused_in_one_line(text: str) -> None:
    """Anything else is a `ValueError` of one line."""
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        RedisUrl.parse(text)


def test_a_password_is_never_shown() -> None:
    """Neither the error nor the printed address carries the password."""
    with pytest.raises(ValueError, match="no valid host") as caught:
        RedisUrl.parse("redis://ann:secret@cache:x")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(RedisUrl.parse("rediss://ann:secret@cache?sentinel_password=secret"))
