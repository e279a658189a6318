"""The origin of a URL (RFC 6454): who may see what was meant for whom."""

from __future__ import annotations

from typing import NamedTuple

import httpx2


class Origin(NamedTuple):
    """Scheme, host and port."""

    scheme: str
    host: str
    port: int | None


def origin(url: str) -> Origin:
    """Return the origin of `url`; `httpx2.InvalidURL` for what is no URL."""
    parsed = httpx2.URL(url)
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme)
    return Origin(parsed.scheme, parsed.host, port)
