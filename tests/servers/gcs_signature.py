"""Who may do what at the fake: V4 signatures by Google's published rules, and Bearer tokens.

Written from https://cloud.google.com/storage/docs/authentication/canonical-requests and
https://cloud.google.com/storage/docs/authentication/signatures, and from nothing of the program.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .gcs_objects import Refused

EMAIL = "media@fake-project.iam.gserviceaccount.com"
WEEK = 7 * 86400
SKEW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came over the wire: nothing decoded, nothing added."""

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)

    def header(self, name: str, default: str = "") -> str:
        values = [value for key, value in self.headers if key == name]
        return ",".join(values) if values else default

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.headers)

    @property
    def query(self) -> dict[str, str]:
        return dict(self.pairs)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return parse_qsl(self.raw_query.decode("latin-1"), keep_blank_values=True)


class ServiceAccount:
    """One service account, its key, and the tokens that were given for it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._public = self._key.public_key()
        self._tokens: dict[str, float] = {}

    def info(self, origin: str) -> dict[str, str]:
        """Return the JSON that Google's console gives for a service account."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": "fake-project",
            "private_key_id": "fake",
            "private_key": pem.decode(),
            "client_email": EMAIL,
            "client_id": "1",
            "token_uri": f"{origin}/token",
        }

    def sign(self, payload: bytes) -> bytes:
        return self._key.sign(payload, padding.PKCS1v15(), hashes.SHA256())

    def grant(self, assertion: str) -> str:
        """Give a token for a signed assertion (RFC 7523)."""
        signed, _, signature = assertion.rpartition(".")
        self._verify(_unbase64(signature), signed.encode(), "invalid_grant")
        claims = json.loads(_unbase64(signed.split(".")[1]))
        if claims["iss"] != EMAIL or claims["exp"] < time.time():
            raise Refused(400, "InvalidGrant", "invalid_grant")
        return self.token()

    def token(self) -> str:
        token = f"ya29.{secrets.token_urlsafe(20)}"
        self._tokens[token] = time.time() + 3600
        return token

    def forget_tokens(self) -> None:
        self._tokens.clear()

    def check_bearer(self, asked: Asked) -> None:
        kind, _, token = asked.header("authorization").partition(" ")
        if kind != "Bearer" or self._tokens.get(token, 0) < time.time():
            raise Refused(401, "AuthenticationRequired", "authError", "Invalid Credentials")

    def check_signature(self, asked: Asked, now: datetime) -> None:
        """Refuse a signed URL unless every rule holds."""
        query = asked.query
        begin, names = _read_parameters(query, now)
        canonical = _canonical_request(asked, names)
        scope = query["X-Goog-Credential"].partition("/")[2]
        to_sign = "\n".join(
            [
                "GOOG4-RSA-SHA256",
                query["X-Goog-Date"],
                scope,
                hashlib.sha256(canonical).hexdigest(),
            ]
        )
        if query["X-Goog-Credential"].partition("/")[0] != EMAIL:
            raise Refused(403, "InvalidSecurity", "forbidden", "No such service account.")
        if not re.fullmatch(f"{begin:%Y%m%d}/[a-z0-9-]+/storage/goog4_request", scope):
            raise Refused(400, "AuthorizationQueryParametersError", "invalid", "Wrong credential scope.")
        try:
            signature = bytes.fromhex(query["X-Goog-Signature"])
        except ValueError:
            raise _mismatch() from None
        self._verify(signature, to_sign.encode(), "SignatureDoesNotMatch")

    def _verify(self, signature: bytes, signed: bytes, code: str) -> None:
        try:
            self._public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise Refused(403, code, "forbidden", "The signature does not match the request.") from None


def is_signed(asked: Asked) -> bool:
    return "X-Goog-Signature" in asked.query


def _read_parameters(query: dict[str, str], now: datetime) -> tuple[datetime, list[str]]:
    needed = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    if any(f"X-Goog-{name}" not in query for name in needed):
        raise Refused(400, "AuthorizationQueryParametersError", "invalid", "A parameter is missing.")
    if query["X-Goog-Algorithm"] != "GOOG4-RSA-SHA256":
        raise Refused(400, "AuthorizationQueryParametersError", "invalid", "Unknown algorithm.")
    life = int(query["X-Goog-Expires"])
    begin = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if not 0 < life <= WEEK:
        raise Refused(400, "AuthorizationQueryParametersError", "invalid", "X-Goog-Expires is 1 to 604800.")
    if begin > now + SKEW:
        raise Refused(403, "RequestTimeTooSkewed", "forbidden", "The signature is from the future.")
    if now >= begin + timedelta(seconds=life):
        raise Refused(400, "ExpiredToken", "invalid", "The provided token has expired.")
    return begin, query["X-Goog-SignedHeaders"].split(";")


def _canonical_request(asked: Asked, names: list[str]) -> bytes:
    if names != sorted(names) or "host" not in names:
        raise Refused(
            400, "AuthorizationQueryParametersError", "invalid", "Signed headers: sorted, with host."
        )
    for name in names:
        if not asked.has(name):
            raise Refused(
                400,
                "MalformedSecurityHeader",
                "invalid",
                f"{name}: Header was included in signedheaders, but not in the request.",
            )
    for name, _ in asked.headers:
        if name.startswith("x-goog-") and name not in names:
            raise Refused(403, "SignatureDoesNotMatch", "forbidden", f"{name} was sent and not signed.")
    header_lines = [f"{name}:{_canonical_value(asked, name)}\n" for name in names]
    payload = asked.header("x-goog-content-sha256", "UNSIGNED-PAYLOAD")
    lines = [
        asked.method,
        _encode(unquote_to_bytes(asked.raw_path), safe="/~"),
        _canonical_query(asked),
        "".join(header_lines),
        ";".join(names),
        payload,
    ]
    return "\n".join(lines).encode()


def _canonical_value(asked: Asked, name: str) -> str:
    values = [value for key, value in asked.headers if key == name]
    return ",".join(re.sub(r"[ \t]+", " ", value.strip()) for value in values)


def _canonical_query(asked: Asked) -> str:
    pairs = [
        (_encode(key.encode()), _encode(value.encode()))
        for key, value in asked.pairs
        if key != "X-Goog-Signature"
    ]
    return "&".join(f"{key}={value}" for key, value in sorted(pairs))


def _encode(text: bytes, safe: str = "~") -> str:
    return quote(text, safe=safe)


def _mismatch() -> Refused:
    return Refused(403, "SignatureDoesNotMatch", "forbidden", "The signature does not match the request.")


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
