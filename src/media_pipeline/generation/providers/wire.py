"""HTTP to one provider: ask, read JSON, and say every fault in the one vocabulary.

Guarantees: the keys go to the provider's own origin and nowhere else; no error text holds one; an answer is
bounded in size and time; what was surely never sent says so. Not guaranteed: that a request whose answer was
lost had no effect; such faults are NETWORK or TIMEOUT and whoever pays must take them as unknown.
"""

from __future__ import annotations

import asyncio
import email.utils
import functools
import math
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import msgspec

from media_pipeline.clock import Clock
from media_pipeline.generation.origins import origin
from media_pipeline.generation.provider import ErrorCode, ProviderError
from media_pipeline.jsonvalue import Json

CONNECT_SECONDS: Final = 10.0
MAX_ANSWER: Final = 128 * 1024**2
"""Bytes of an answer: eight pictures in base64 fit, a stream without end does not."""
MAX_SENTENCE: Final = 500

REASONS: Final[Mapping[int, ErrorCode]] = {
    400: ErrorCode.INVALID_REQUEST,
    401: ErrorCode.AUTH,
    402: ErrorCode.QUOTA,
    403: ErrorCode.AUTH,
    404: ErrorCode.GONE,
    408: ErrorCode.TIMEOUT,
    410: ErrorCode.GONE,
    413: ErrorCode.INVALID_REQUEST,
    422: ErrorCode.INVALID_REQUEST,
    425: ErrorCode.OVERLOADED,
    429: ErrorCode.RATE_LIMITED,
    500: ErrorCode.PROVIDER,
    502: ErrorCode.NETWORK,
    503: ErrorCode.OVERLOADED,
    504: ErrorCode.TIMEOUT,
    529: ErrorCode.OVERLOADED,
}
"""What a status means where a provider says nothing finer.

502 and 504 are a proxy's own: nobody knows what happened behind it.
"""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, headers and bytes."""

    status: int
    headers: httpx2.Headers
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of success

    def json(self) -> Any:
        """Return the body's JSON value, None where it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def object(self) -> dict[str, Any]:
        """Return the body's JSON object, an empty one where it is none."""
        value = self.json()
        return value if isinstance(value, dict) else {}


class Wire:
    """One client of one provider at `base_url`; `headers` carry the keys and are sent to its origin alone.

    `secrets` are cut out of every error text. `transport` replaces the network in tests.
    """

    def __init__(
        self,
        provider: str,
        *,
        base_url: str,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        secrets: Sequence[str] = (),
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.provider = provider
        self.base_url = base_url.rstrip("/")
        self._clock = clock
        self._headers = dict(headers or {})
        self._secrets = [secret for secret in secrets if secret]
        self._reading = _client(transport, idle=32)
        self._writing = _client(transport, idle=0)  # an idle connection may be dead: was the order taken?

    async def ask(self, method: str, url: str, *, seconds: float = 60.0, **content: Any) -> Reply:
        """Send a request and return a successful answer; `url` may be relative to the base.

        `seconds` bound the whole exchange. `content` is httpx's: json, data, files, params, headers.
        Raises `ProviderError` for every other outcome.
        """
        reply = await self.exchange(method, url, seconds=seconds, **content)
        if not reply.ok:
            raise self.refusal(reply)
        return reply

    async def ask_object(
        self, method: str, url: str, *, seconds: float = 60.0, **content: Any
    ) -> dict[str, Any]:
        """Send a request and return the JSON object of a successful answer.

        Success without an object is NETWORK: something on the way answered instead of the provider.
        """
        value = (await self.ask(method, url, seconds=seconds, **content)).json()
        if not isinstance(value, dict):
            raise self.error(ErrorCode.NETWORK, f"{self.provider} answered with something that is not JSON.")
        return value

    async def exchange(self, method: str, url: str, *, seconds: float = 60.0, **content: Any) -> Reply:
        """Send a request and return the whole answer, whatever its status."""
        async with self.open(method, url, seconds=seconds, **content) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise self.error(ErrorCode.BAD_OUTPUT, f"{self.provider} answers without end.")
            return Reply(response.status_code, response.headers, bytes(body))

    @asynccontextmanager
    async def open(
        self, method: str, url: str, *, seconds: float = 60.0, **content: Any
    ) -> AsyncGenerator[httpx2.Response, None]:
        """Send a request and give its answer as it arrives; faults inside the block are translated too."""
        target = self.locate(url)
        client = self._reading if method == "GET" else self._writing
        headers = {**content.pop("headers", {}), **(self._headers if self.owns(target) else {})}
        try:
            async with (
                asyncio.timeout(seconds),
                client.stream(method, target, headers=headers, **content) as response,
            ):
                yield response
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as fault:
            raise self.error(ErrorCode.NETWORK, f"{self.provider} cannot be reached.", sent=False) from fault
        except (TimeoutError, httpx2.TimeoutException) as fault:
            raise self.error(ErrorCode.TIMEOUT, f"{self.provider} did not answer in time.") from fault
        except httpx2.TransportError as fault:
            raise self.error(
                ErrorCode.NETWORK,
                f"The connection to {self.provider} broke.",
                sent=not isinstance(fault, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError),
            ) from fault
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as fault:
            raise self.error(ErrorCode.NETWORK, f"The answer of {self.provider} cannot be read.") from fault

    def locate(self, url: str) -> str:
        """Return the complete URL."""
        return url if "://" in url else f"{self.base_url}/{url.lstrip('/')}"

    def owns(self, url: str) -> bool:
        """Tell whether `url` is of the provider's own origin: scheme, host and port."""
        try:
            return origin(url) == origin(self.base_url)
        except httpx2.InvalidURL:
            return False

    def refusal(
        self, reply: Reply, reason: ErrorCode | None = None, message: str | None = None
    ) -> ProviderError:
        """Return the error that an unsuccessful answer means; `reason` where the adapter knows better."""
        found = reason or REASONS.get(reply.status) or _by_class(reply.status)
        said = message or find_message(reply.json()) or f"HTTP status {reply.status}"
        return self.error(
            found,
            f"{self.provider}: {said}",
            retry_after=read_retry_after(reply.headers, now=self._clock.now()),
        )

    def error(
        self, reason: ErrorCode, message: str, *, retry_after: float | None = None, sent: bool = True
    ) -> ProviderError:
        """Return an error of this provider whose text is one line without secrets."""
        text = " ".join(message.split())
        for secret in self._secrets:
            text = text.replace(secret, "…")
        short = text if len(text) <= MAX_SENTENCE else text[: MAX_SENTENCE - 1] + "…"
        return ProviderError(reason, short, provider=self.provider, retry_after=retry_after, sent=sent)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._reading.aclose()
        await self._writing.aclose()


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return the one context of this process: reading the certificates takes a tenth of a second."""
    return httpx2.create_ssl_context()


def _client(transport: httpx2.AsyncBaseTransport | None, *, idle: int) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=transport,
        verify=_tls(),
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=idle),
        headers={"User-Agent": "media-pipeline"},
    )


def read_retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds a provider asks to wait: milliseconds, seconds or a date (RFC 9110, 10.2.3)."""
    try:
        if (exact := headers.get("retry-after-ms")) is not None:
            return _sound(float(exact) / 1000)
        if (given := headers.get("retry-after")) is None:
            return None
        return _sound(float(given)) if _is_number(given) else _until(given, now)
    except (ValueError, OverflowError):
        return None


def find_message(body: Json) -> str | None:
    """Return the sentence of an error body, in any of the shapes that providers use."""
    match body:
        case {"error": {"message": str(said)}} | {"message": str(said)}:
            return said
        case {"detail": [{"msg": str(said)}, *_]}:
            return said
        case {"detail": str(said)} | {"error": str(said)} | {"title": str(said)}:
            return said
        case _:
            return None


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()


def _until(date: str, now: float) -> float:
    return max(0.0, email.utils.parsedate_to_datetime(date).timestamp() - now)


def _sound(seconds: float) -> float | None:
    return seconds if 0 <= seconds < math.inf else None


def _by_class(status: int) -> ErrorCode:
    return ErrorCode.INVALID_REQUEST if 400 <= status < 500 else ErrorCode.PROVIDER  # noqa: PLR2004
