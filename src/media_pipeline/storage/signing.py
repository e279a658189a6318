"""V4 signed URLs of Google Cloud Storage, as pure functions: no clock, no network, no key.

`prepare` gives what is to be signed, so that the signer may be a key here or a service elsewhere;
`Unsigned.url` puts the signature to it. Guarantee: the same request gives the same string. Not
guaranteed: that a signed header is one that the server knows.

Rules: https://cloud.google.com/storage/docs/authentication/canonical-requests and
https://cloud.google.com/storage/docs/authentication/signatures.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final
from urllib.parse import quote

ALGORITHM: Final = "GOOG4-RSA-SHA256"
HOST: Final = "storage.googleapis.com"
MAX_LIFE: Final = timedelta(days=7)
_UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
_SPACE: Final = re.compile(r"\s+")


class UrlStyle(Enum):
    """Where a URL names the bucket: in its path, before its host, or nowhere (the host is the bucket's)."""

    PATH = "path"
    VIRTUAL_HOSTED = "virtual-hosted"
    BUCKET_BOUND = "bucket-bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRequest:
    """What a signed URL shall allow.

    `headers` must be sent as given; several values of one name are a list of pairs. An empty `name`
    is the bucket itself, as for a listing. `expires_in` is 1 second to 7 days, `at` the instant of
    signing. `host` has its port where it is not the scheme's own.
    """

    bucket: str
    name: str
    method: str
    at: datetime
    expires_in: timedelta
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    style: UrlStyle = UrlStyle.PATH
    host: str = HOST
    scheme: str = "https"


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A URL but for its signature; `to_sign` is what RSA-SHA256 (PKCS #1 v1.5) must sign."""

    base: str
    to_sign: bytes
    canonical_request: str

    def url(self, signature: bytes) -> str:
        """Return the URL that carries `signature`."""
        return f"{self.base}&X-Goog-Signature={signature.hex()}"


def prepare(request: UrlRequest, *, email: str) -> Unsigned:
    """Return what the service account `email` has to sign; `ValueError` for a life that is not allowed."""
    seconds = int(request.expires_in.total_seconds())
    if not 1 <= seconds <= MAX_LIFE.total_seconds():
        raise ValueError(f"A signed URL lives 1 second to 7 days, not {request.expires_in}.")
    stamp = f"{request.at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    scope = f"{stamp[:8]}/auto/storage/goog4_request"
    host, path = _address(request)
    headers = _canonical_headers(request.headers, host)
    query = _canonical_query(
        {
            **request.query,
            "X-Goog-Algorithm": ALGORITHM,
            "X-Goog-Credential": f"{email}/{scope}",
            "X-Goog-Date": stamp,
            "X-Goog-Expires": str(seconds),
            "X-Goog-SignedHeaders": ";".join(headers),
        }
    )
    canonical = "\n".join(
        [
            request.method,
            path,
            query,
            *(f"{name}:{value}" for name, value in headers.items()),
            "",
            ";".join(headers),
            headers.get("x-goog-content-sha256", _UNSIGNED_PAYLOAD),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}"
    return Unsigned(f"{request.scheme}://{host}{path}?{query}", to_sign.encode(), canonical)


def _address(request: UrlRequest) -> tuple[str, str]:
    """Return host and path; in a path only letters, digits and `-._~/` stand for themselves."""
    name = quote(request.name, safe="/~")
    match request.style:
        case UrlStyle.PATH:
            return request.host, f"/{request.bucket}/{name}" if name else f"/{request.bucket}"
        case UrlStyle.VIRTUAL_HOSTED:
            return f"{request.bucket}.{request.host}", f"/{name}"
        case UrlStyle.BUCKET_BOUND:
            return request.host, f"/{name}"


def _canonical_headers(given: Mapping[str, str] | Iterable[tuple[str, str]], host: str) -> dict[str, str]:
    """Lower the names, fold the white space, join several values by commas, sort; `host` is always signed."""
    pairs = given.items() if isinstance(given, Mapping) else given
    headers: dict[str, list[str]] = {}
    for name, value in pairs:
        headers.setdefault(name.strip().lower(), []).append(_SPACE.sub(" ", value).strip())
    headers.setdefault("host", [host])
    return {name: ",".join(headers[name]) for name in sorted(headers)}


def _canonical_query(query: Mapping[str, str]) -> str:
    encoded = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in encoded)
