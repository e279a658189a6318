"""Going out to addresses that a user named, and to nowhere else.

A name is resolved once and the connection goes to the very address that was checked, so a resolver that
answers differently the second time is never asked twice. Guarantees: no request, also none after a
redirect, reaches an address that is neither public nor opened by the operator; TLS and `Host` keep the name;
proxies of the environment are not used. Not guaranteed: what a public server does with a request.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import httpx2

from media_pipeline.errors import MediaPipelineError
from media_pipeline.media.addresses import Address, Network, is_allowed, read_literal

Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a name; `OSError` where there are none."""

_NAME: Final = re.compile(
    r"(?=.{1,253}\.?\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]{1,63})*\.?"
)
_WELL_KNOWN_PORTS: Final = 1024
_WEB_PORTS: Final = frozenset({80, 443})


class UrlRefused(MediaPipelineError):
    """The URL leads where the service does not go."""

    code: ClassVar[str] = "url_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetRules:
    """Where the service may go: public addresses, and `networks`; over https, and http if `plain_http`."""

    plain_http: bool = False
    networks: Sequence[Network] = ()


async def resolve(name: str) -> Sequence[str]:
    """Return the addresses of `name` as the operating system knows them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedTransport(httpx2.AsyncBaseTransport):
    """An httpx2 transport that keeps `rules`; give it to a client as `transport=`.

    The client may follow redirects: each hop comes through here. Connections are not kept, so that two
    names at one address never share one.
    """

    def __init__(
        self, rules: NetRules, *, resolver: Resolver = resolve, verify: ssl.SSLContext | bool = True
    ) -> None:
        self._rules = rules
        self._resolve = resolver
        self._inner = httpx2.AsyncHTTPTransport(
            verify=verify, limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request` to a checked address; `UrlRefused`, `httpx2.ConnectError` if nobody answers."""
        check_url(request.url, self._rules)
        failure: httpx2.TransportError | None = None
        for address in await self._addresses(request.url.host):
            try:
                return await self._inner.handle_async_request(_pinned(request, address))
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
        raise failure or httpx2.ConnectError(f"{request.url.host} has no address.")

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()

    async def _addresses(self, host: str) -> Sequence[Address]:
        """Return where `host` is, if every one of its addresses is allowed."""
        literal = read_literal(host)
        try:
            texts = [host] if literal is not None else await self._resolve(host)
        except OSError as error:
            raise httpx2.ConnectError(f"{host} has no address.") from error
        addresses = [_address(text) for text in texts]
        if not all(is_allowed(address, self._rules.networks) for address in addresses):
            raise UrlRefused("The URL leads to an address that is not public.")
        return addresses


def check_url(url: httpx2.URL, rules: NetRules) -> None:
    """Raise `UrlRefused` for what needs no resolver: scheme, name, port, a user in front of the host."""
    if url.scheme not in ({"https", "http"} if rules.plain_http else {"https"}):
        raise UrlRefused("The URL must begin with https://.")
    if url.userinfo:
        raise UrlRefused("The URL must not hold a user name or password.")
    port = 443 if url.port is None else url.port
    if not (port in _WEB_PORTS or _WELL_KNOWN_PORTS <= port <= 65535):  # noqa: PLR2004 - the last port
        raise UrlRefused("The URL names a port that is not the web's.")
    try:
        literal = read_literal(url.host)
    except ValueError:
        raise UrlRefused("The URL's host is neither a name nor an address in its usual form.") from None
    if literal is None and not _NAME.fullmatch(url.host):
        raise UrlRefused("The URL's host is not a name.")
    if literal is not None and not is_allowed(literal, rules.networks):
        raise UrlRefused("The URL leads to an address that is not public.")


def parse_url(text: str, rules: NetRules) -> httpx2.URL:
    """Return the URL that `text` is, checked as far as needs no network; `UrlRefused` otherwise."""
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError, TypeError) as error:
        raise UrlRefused("This is not a URL.") from error
    check_url(url, rules)
    return url


def _address(text: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise UrlRefused("The URL leads to an address that is not public.") from error


def _pinned(request: httpx2.Request, address: Address) -> httpx2.Request:
    """Return `request` bound to one address; its `Host` header already names the host."""
    name = request.url.host.rstrip(".")
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": name},
    )
