"""Fetching results from where a provider put them, at once and within limits.

Guarantees: a key goes to the provider's own origin alone, also across redirects; no address that is neither
public nor the operator's own is connected to; what comes is bounded in bytes and seconds and begins as the
kind that was asked for. Not guaranteed: that it decodes; whoever keeps it finds out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final
from urllib.request import urlopen

import httpx2

from media_pipeline.clock import Clock
from media_pipeline.generation.origins import Origin, origin
from media_pipeline.generation.provider import ErrorCode, Fetched, MediaKind, Output, ProviderError
from media_pipeline.media.netguard import GuardedTransport, NetRules, UrlRefused
from media_pipeline.media.sniff import ACCEPTED, HEAD_BYTES, sniff

HOPS: Final = 5
REPORT_BYTES: Final = 256 * 1024
"""So many more bytes must have come before it is told again."""
_GONE: Final = frozenset({401, 403, 404, 410})
"""How object stores answer for a URL whose time is over."""
_ERROR_PAGES: Final = ("text/", "application/json", "application/xml")


@dataclass(frozen=True, slots=True)
class _Order:
    """One result to fetch, for whom."""

    output: Output
    kind: MediaKind
    provider: str

    def error(self, reason: ErrorCode, sentence: str) -> ProviderError:
        return ProviderError(reason, sentence, provider=self.provider)


class Downloads:
    """Fetch results; `own` are origins that the operator named, where plain http and private are allowed."""

    def __init__(
        self,
        *,
        own: Collection[Origin] = (),
        max_bytes: int,
        seconds: float,
        clock: Clock,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._own, self._max_bytes, self._seconds, self._clock = frozenset(own), max_bytes, seconds, clock
        self._public = httpx2.AsyncClient(
            transport=transport or GuardedTransport(NetRules()), timeout=httpx2.Timeout(None, connect=10)
        )
        self._trusted = httpx2.AsyncClient(trust_env=False, timeout=httpx2.Timeout(None, connect=10))

    async def fetch(
        self, output: Output, *, kind: MediaKind, provider: str
    ) -> AsyncGenerator[Fetched | Output, None]:
        """Yield how many bytes have come, and last the output with its bytes; raises `ProviderError`.

        RESULT_EXPIRED where it is not there any more, BAD_OUTPUT for what is no `kind` or too much, and
        NETWORK, TIMEOUT or OVERLOADED for what may go better the next time.
        """
        order = _Order(output, kind, provider)
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds), self._open(order) as response:
                total = _length(response)
                self._check_size(total, order)
                told = 0
                async for chunk in response.aiter_bytes():
                    body += chunk
                    self._check_size(len(body), order)
                    if len(body) - told >= REPORT_BYTES or len(body) == total:
                        told = len(body)
                        yield Fetched(told, total, output.index)
        except (TimeoutError, httpx2.TimeoutException) as fault:
            raise order.error(ErrorCode.TIMEOUT, f"{provider}'s result did not arrive in time.") from fault
        except UrlRefused as fault:
            raise order.error(ErrorCode.BAD_OUTPUT, f"{provider}'s result is not fetched: {fault}") from fault
        except (httpx2.HTTPError, httpx2.StreamError) as fault:
            raise order.error(ErrorCode.NETWORK, f"The connection to {provider}'s result broke.") from fault
        yield replace(output, data=bytes(body), url=None, url_headers={}, content_type=_type_of(body, order))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._public.aclose()
        await self._trusted.aclose()

    @asynccontextmanager
    async def _open(self, order: _Order) -> AsyncGenerator[httpx2.Response, None]:
        """Send the request, and again to where it is sent on; give the answer that holds the result."""
        url = httpx2.URL(order.output.url or "")
        for _ in range(HOPS):
            client, headers = self._client(url, order.output.url_headers)
            async with client.stream("GET", url, headers=headers) as response:
                if not response.has_redirect_location:
                    _check_answer(response, order)
                    yield response
                    return
                url = url.join(response.headers["location"])
        raise order.error(ErrorCode.NETWORK, f"{order.provider}'s result is sent on without end.")

    def _client(
        self, url: httpx2.URL, headers: Mapping[str, str]
    ) -> tuple[httpx2.AsyncClient, Mapping[str, str]]:
        """Choose how to go to `url`, and what to take there."""
        return (self._trusted, headers) if origin(str(url)) in self._own else (self._public, {})

    def _check_size(self, size: int | None, order: _Order) -> None:
        if size is not None and size > self._max_bytes:
            raise order.error(
                ErrorCode.BAD_OUTPUT, f"{order.provider}'s result has more than {self._max_bytes} bytes."
            )


def read_data_url(output: Output) -> Output:
    """Return an output whose URL holds its bytes as one that has them (RFC 2397)."""
    with urlopen(output.url or "") as opened:  # noqa: S310 - only called for the scheme `data`
        return replace(output, data=opened.read(), url=None, content_type=opened.headers.get_content_type())


def _check_answer(response: httpx2.Response, order: _Order) -> None:
    """Raise for an answer that does not hold the result."""
    status, name = response.status_code, order.provider
    if status in _GONE:
        raise order.error(ErrorCode.EXPIRED, f"{name}'s result is not there any more (status {status}).")
    if not response.is_success:
        raise order.error(ErrorCode.OVERLOADED, f"{name}'s result cannot be had now (status {status}).")
    if response.headers.get("content-type", "").startswith(_ERROR_PAGES):
        raise order.error(ErrorCode.NETWORK, f"A page came instead of {name}'s result.")


def _length(response: httpx2.Response) -> int | None:
    """Return how many bytes will come, None where nobody says so."""
    given = response.headers.get("content-length", "")
    plain = response.headers.get("content-encoding", "identity") == "identity"
    return int(given) if plain and given.isdecimal() else None


def _type_of(body: bytes | bytearray, order: _Order) -> str:
    """Return what the bytes are by their beginning; BAD_OUTPUT where that is not the kind asked for."""
    found = sniff(bytes(body[:HEAD_BYTES]))
    if found is None or ACCEPTED[found] != order.kind:
        raise order.error(ErrorCode.BAD_OUTPUT, f"{order.provider}'s result is no {order.kind}.")
    return found
