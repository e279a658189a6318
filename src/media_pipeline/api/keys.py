"""An issuer's public keys: its JSON Web Key Set (RFC 7517), fetched from one configured address.

Guarantees: no token makes the program ask any other address, nor this one more than once in
`MIN_SECONDS`; keys that were read stay when the issuer cannot be reached, and those it has withdrawn are gone
with the next answer. Not guaranteed: that a withdrawn key is refused before `every` seconds are over and
somebody came. There is no loop: whoever comes when the keys are old has them read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import httpx2
import jwt
import msgspec
import structlog

from media_pipeline.clock import Clock
from media_pipeline.errors import MediaPipelineError

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""What is accepted unless the settings say otherwise."""
KEY_TYPES: Final[Mapping[str, str]] = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""Which keys an algorithm's first letters want."""
MAX_BYTES: Final = 256 * 1024
MIN_SECONDS: Final = 30.0
EVERY: Final = 300.0
TIMEOUT: Final = 5.0
MIN_RSA_BITS: Final = 2048
"""RFC 7518, section 3.3."""

_log = structlog.get_logger(__name__)
Header = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """A public key for one algorithm; `text` tells it from any other."""

    id: str | None
    algorithm: str
    public: Any = field(compare=False)
    text: str = field(repr=False)


class KeysUnavailable(MediaPipelineError):
    """The issuer's keys could never be read, so nobody can be told from anybody."""

    code: ClassVar[str] = "keys_unavailable"
    retryable: ClassVar[bool] = True


class KeySet:
    """The keys at `url`, read again every `every` seconds and when a token names one that is not there."""

    def __init__(
        self, url: str, *, clock: Clock, algorithms: Sequence[str] = ALGORITHMS, every: float = EVERY
    ) -> None:
        self.algorithms = tuple(algorithms)
        self.version = 0
        """Grows when the keys change."""
        self._url = url
        self._clock = clock
        self._every = every
        self._keys: tuple[Key, ...] = ()
        self._asked_at = float("-inf")
        self._reading = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._tls = ssl.create_default_context()

    def find(self, header: Header) -> Key | None:
        """Return the one key that a token's header means, None if it is not to be had."""
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self.algorithms:
            return None
        fitting = [key for key in self._keys if key.algorithm == algorithm and key_id in (None, key.id)]
        return fitting[0] if len(fitting) == 1 else None

    def freshen(self) -> None:
        """Have old keys read anew, in the background: whoever comes meanwhile is judged by them."""
        if self.version and self._clock.monotonic() - self._asked_at >= self._every:
            self._asked_at = self._clock.monotonic()
            self._reader = asyncio.get_running_loop().create_task(self._read())

    async def refresh(self) -> bool:
        """Read the keys unless that was just done; tell whether they changed.

        Raises `KeysUnavailable` when there have never been any.
        """
        before = self.version
        async with self._reading:
            if self._clock.monotonic() - self._asked_at >= MIN_SECONDS:
                self._asked_at = self._clock.monotonic()
                await self._read()
        if self.version == 0:
            raise KeysUnavailable("The keys of the tokens' issuer cannot be read; try again soon.")
        return self.version != before

    async def probe(self) -> None:
        """Raise `KeysUnavailable` while there are no keys."""
        if self.version == 0:
            await self.refresh()

    async def _read(self) -> None:
        try:
            keys = read_keys(await self._fetch(), self.algorithms)
        except (httpx2.HTTPError, ValueError) as error:
            _log.warning("keys.not_read", url=self._url, error=str(error))
            return
        if not keys:
            _log.warning("keys.none_usable", url=self._url)
        if keys != self._keys or self.version == 0:
            self._keys = keys
            self.version += 1
            _log.info("keys.changed", keys=[key.id for key in keys])

    async def _fetch(self) -> bytes:
        body = bytearray()
        async with (
            httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=False, verify=self._tls) as http,
            http.stream("GET", self._url, headers={"Accept": "application/json"}) as answer,
        ):
            answer.raise_for_status()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError("the key set is too large")
        return bytes(body)


def read_keys(document: bytes, algorithms: Sequence[str]) -> tuple[Key, ...]:
    """Return the public signing keys of a set that `algorithms` can use; ValueError for no key set."""
    try:
        entries = msgspec.json.decode(document, type=_Set).keys
    except msgspec.MsgspecError as error:
        raise ValueError(f"this is no key set: {error}") from error
    return tuple(
        key
        for entry in entries
        if entry.get("use", "sig") == "sig"
        for algorithm in algorithms
        if (key := _read_key(entry, algorithm)) is not None
    )


class _Set(msgspec.Struct):
    keys: list[dict[str, Any]]


def _read_key(entry: dict[str, Any], algorithm: str) -> Key | None:
    """Return a key for one algorithm; what cannot be read, is private or for another use is passed over."""
    if (
        entry.get("kty") != KEY_TYPES[algorithm[:2]]
        or entry.get("alg", algorithm) != algorithm
        or "d" in entry
    ):
        return None
    try:
        public = jwt.PyJWK(entry, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if getattr(public, "key_size", MIN_RSA_BITS) < MIN_RSA_BITS and entry["kty"] == "RSA":
        return None
    return Key(entry.get("kid"), algorithm, public, repr(sorted(entry.items())))
