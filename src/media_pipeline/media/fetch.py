"""Reading one public file, within limits of size, time and redirects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, Final

import httpx2

from media_pipeline.errors import MediaPipelineError
from media_pipeline.media.netguard import UrlRefused

_HEADERS: Final = {
    "Accept": "image/*, video/*, */*;q=0.1",
    "Accept-Encoding": "identity",
    "User-Agent": "media-pipeline",
}
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class FetchFailed(MediaPipelineError):
    """The file could not be read now; it may work later."""

    code: ClassVar[str] = "fetch_failed"
    retryable: ClassVar[bool] = True


class SourceRefused(MediaPipelineError):
    """The other side answered, and did not give the file."""

    code: ClassVar[str] = "source_refused"


class SourceTooLarge(MediaPipelineError):
    """The file is larger than may be read."""

    code: ClassVar[str] = "too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How much one fetch may take: bytes, redirects, and seconds to connect, between two bytes and in all."""

    max_bytes: int
    redirects: int = 3
    connect_seconds: float = 10.0
    idle_seconds: float = 30.0
    total_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file on its way: the `total` of its bytes if it was said, and the `chunks` to be read once."""

    url: str
    total: int | None
    chunks: AsyncIterator[bytes]


@asynccontextmanager
async def fetch(
    url: httpx2.URL, transport: httpx2.AsyncBaseTransport, limits: FetchLimits
) -> AsyncGenerator[Fetched, None]:
    """Open `url` for reading; the body of the `async with` has to end within the time limit, too.

    Raises `UrlRefused`, `SourceRefused`, `SourceTooLarge` or `FetchFailed`, the last two also while chunks
    are read. Nothing is decompressed; no credentials and no `Referer` are sent.
    """
    timeout = httpx2.Timeout(limits.idle_seconds, connect=limits.connect_seconds)
    clock = asyncio.timeout(limits.total_seconds)
    try:
        async with (
            clock,
            httpx2.AsyncClient(transport=_Borrowed(transport), timeout=timeout, trust_env=False) as client,
            _followed(client, url, limits.redirects) as response,
        ):
            total = _judge(response, limits)
            yield Fetched(str(response.url), total, _bounded(response, limits.max_bytes))
    except TimeoutError as error:
        if clock.expired():
            raise FetchFailed("The other side took longer than an import may.") from error
        raise
    except (httpx2.TransportError, httpx2.StreamError) as error:
        raise FetchFailed("The other side could not be reached, or broke off.") from error


class _Borrowed(httpx2.AsyncBaseTransport):
    """A transport that outlives its client."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._transport.handle_async_request(request)


@asynccontextmanager
async def _followed(
    client: httpx2.AsyncClient, url: httpx2.URL, redirects: int
) -> AsyncGenerator[httpx2.Response, None]:
    """Follow redirects; the transport checks each hop like the first."""
    for _ in range(redirects + 1):
        async with client.stream("GET", url, headers=_HEADERS) as response:
            if not response.has_redirect_location:
                yield response
                return
            url = _next(response)
    raise UrlRefused(f"The URL is redirected more than {redirects} times.")


def _next(response: httpx2.Response) -> httpx2.URL:
    try:
        return response.url.join(response.headers["location"]).copy_with(fragment=None)
    except (httpx2.InvalidURL, ValueError) as error:
        raise UrlRefused("The URL is redirected to something that is no URL.") from error


def _judge(response: httpx2.Response, limits: FetchLimits) -> int | None:
    """Return how many bytes are announced, if the answer is one to read."""
    if response.status_code in _TRY_AGAIN:
        raise FetchFailed(f"The other side answered {response.status_code}.")
    if response.status_code != 200:  # noqa: PLR2004 - the one answer that is the whole file
        raise SourceRefused(f"The other side answered {response.status_code}.")
    if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise SourceRefused("The other side sent the file compressed, though it was asked not to.")
    length = response.headers.get("content-length", "")
    total = int(length) if length.isascii() and length.isdecimal() else None
    _check_size(total or 0, limits.max_bytes)
    return total


async def _bounded(response: httpx2.Response, max_bytes: int) -> AsyncIterator[bytes]:
    loaded = 0
    async for chunk in response.aiter_raw():
        loaded += len(chunk)
        _check_size(loaded, max_bytes)
        yield chunk


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise SourceTooLarge(f"The file has more than {limit:,} bytes, the most that is taken.")
