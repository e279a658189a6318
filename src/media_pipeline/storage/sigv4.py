"""AWS Signature Version 4 in the query of a URL, for S3, as a pure function: no clock, no network.

Guarantee: the same request gives the same URL. The headers given are signed and must be sent as they
are. Rules: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Final
from urllib.parse import quote

ALGORITHM: Final = "AWS4-HMAC-SHA256"
MAX_LIFE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class AwsKey:
    """An access key, and the token beside it where the key is a temporary one."""

    id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Request:
    """What a signed URL shall allow; `path` is the URL's path, not yet encoded, with its slash."""

    method: str
    path: str
    at: datetime
    expires_in: timedelta
    region: str
    host: str
    scheme: str = "https"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


def presign(request: S3Request, key: AwsKey) -> str:
    """Return the signed URL; `ValueError` for a life that is not allowed."""
    seconds = int(request.expires_in.total_seconds())
    if not 1 <= seconds <= MAX_LIFE.total_seconds():
        raise ValueError(f"A signed URL lives 1 second to 7 days, not {request.expires_in}.")
    stamp = f"{request.at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    scope = f"{stamp[:8]}/{request.region}/s3/aws4_request"
    given = {name.lower(): " ".join(value.split()) for name, value in request.headers.items()}
    headers = dict(sorted({**given, "host": request.host}.items()))
    query = {
        **request.query,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{key.id}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": ";".join(headers),
        **({} if key.token is None else {"X-Amz-Security-Token": key.token}),
    }
    path, text = quote(request.path, safe="/~"), _encode(query)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"{request.method}\n{path}\n{text}\n{lines}\n{';'.join(headers)}\nUNSIGNED-PAYLOAD"
    to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = _mac(_signing_key(key, scope), to_sign).hex()
    return f"{request.scheme}://{request.host}{path}?{text}&X-Amz-Signature={signature}"


def _signing_key(key: AwsKey, scope: str) -> bytes:
    return reduce(_mac, scope.split("/"), b"AWS4" + key.secret.encode())


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), hashlib.sha256)


def _encode(query: Mapping[str, str]) -> str:
    pairs = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)
