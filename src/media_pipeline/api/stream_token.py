"""Where a stream's token may stand, for readers that cannot send a header: a browser's `EventSource`.

Off unless `MEDIA_EVENTS_TOKEN` says otherwise. The token is moved to where every other request has it
before anybody looks at the request, so that no answer, log or application sees it in an address. Names as
in RFC 6750, section 2.3, which says why an address is a bad place: it is written down wherever it passes.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Final, Literal
from urllib.parse import parse_qsl, urlencode

from starlette.types import Scope

TokenPlace = Literal["header", "query", "cookie"]

QUERY: Final = "access_token"
COOKIE: Final = "media_token"


def move_token(scope: Scope, place: TokenPlace) -> Scope:
    """Return the request as if its token had come in the header; a header that is there wins."""
    if place == "header":
        return scope
    headers = scope["headers"]
    token, scope = _take_from_query(scope) if place == "query" else (_find_cookie(headers), scope)
    if not token or any(name == b"authorization" for name, _ in headers):
        return scope
    return {**scope, "headers": [*headers, (b"authorization", b"Bearer " + token.encode())]}


def _take_from_query(scope: Scope) -> tuple[str, Scope]:
    fields = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    tokens = [value for name, value in fields if name == QUERY]
    if not tokens:
        return "", scope
    others = [(name, value) for name, value in fields if name != QUERY]
    return tokens[0], {**scope, "query_string": urlencode(others).encode()}


def _find_cookie(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"cookie":
            try:
                found = SimpleCookie(value.decode("latin-1")).get(COOKIE)
            except CookieError:
                return ""
            return found.value if found else ""
    return ""
