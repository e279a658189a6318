"""Where Redis is: the address that `REDIS_URL` holds, taken apart and checked.

The forms are `redis://`, `rediss://` (TLS) and `unix://`, as everywhere, and for Sentinel
`redis+sentinel://[user:password@]host:port,host:port/service[/database]` (`rediss+sentinel://` with TLS).
In the query: `db`; `ssl_ca_certs` (a file) and `ssl_cert_reqs=none`; `sentinel_username` and
`sentinel_password`, where the sentinels themselves ask for one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_QUERY: Final = frozenset({"db", "ssl_ca_certs", "ssl_cert_reqs", "sentinel_username", "sentinel_password"})
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/\s]+))(?::([0-9]{1,5}))?")
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to a server; without a password nobody asks."""

    username: str = "default"
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """An address. `hosts` are the sentinels where `service` is set, else the one server; or `path` is."""

    hosts: tuple[tuple[str, int], ...] = ()
    path: str | None = None
    service: str | None = None
    database: int = 0
    login: Login = Login()
    sentinel_login: Login = Login()
    tls: bool = False
    ca_file: str | None = None
    verify: bool = True

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take an address apart; `ValueError`, in one sentence that shows no password, if it is none."""
        try:
            parts = urlsplit(text)
        except ValueError:
            raise ValueError("is no address that can be read") from None
        if parts.scheme not in SCHEMES:
            raise ValueError(f"must begin with one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(query.keys() - _QUERY):
            raise ValueError(f"has the unknown option {unknown[0]}")
        path, service, database = _read_path(parts)
        return cls(
            hosts=() if path else _read_hosts(parts, SENTINEL_PORT if service else REDIS_PORT),
            path=path,
            service=service,
            database=_read_number(query.get("db") or database),
            login=Login(unquote(parts.username or "") or "default", unquote(parts.password or "")),
            sentinel_login=Login(
                query.get("sentinel_username") or "default", query.get("sentinel_password", "")
            ),
            tls=parts.scheme.startswith("rediss"),
            ca_file=query.get("ssl_ca_certs"),
            verify=query.get("ssl_cert_reqs") != "none",
        )


def _read_path(parts: SplitResult) -> tuple[str | None, str | None, str]:
    """Return the socket's path, Sentinel's service and the database, as far as the path says."""
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise ValueError("names no socket")
        return unquote(parts.path), None, ""
    first, _, rest = parts.path.strip("/").partition("/")
    if not parts.scheme.endswith("+sentinel"):
        return None, None, f"{first}/{rest}" if rest else first
    if not first:
        raise ValueError("names no service after the sentinels: …/mymaster")
    return None, unquote(first), rest


def _read_hosts(parts: SplitResult, port: int) -> tuple[tuple[str, int], ...]:
    texts = parts.netloc.rpartition("@")[2].split(",")
    if len(texts) > 1 and not parts.scheme.endswith("+sentinel"):
        raise ValueError("names more than one host")
    return tuple(_read_host(text, port) for text in texts)


def _read_host(text: str, port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if match is None or int(match[3] or port) > _MAX_PORT:
        raise ValueError(f"has no valid host in {text!r}" if text else "names no host")
    return match[1] or match[2], int(match[3] or port)


def _read_number(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        raise ValueError(f"has no valid database number in {text!r}")
    return int(text or 0)
