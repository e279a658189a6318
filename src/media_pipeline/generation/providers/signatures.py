"""Whether a call that says it comes from a provider does: pure, over the raw bytes of its body.

Sources: the Standard Webhooks specification (Replicate) and fal.ai/docs/model-endpoints/webhooks. A call is
refused when its signature is not right or its time is more than `WINDOW` seconds off.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from media_pipeline.errors import MediaPipelineError

WINDOW: Final = 300.0
_DIGITS: Final = 20
"""No time of ours has more; Python reads no number of thousands of them."""


class WebhookRefused(MediaPipelineError):
    """The call was not signed by the provider it names, or is too old."""

    code: ClassVar[str] = "webhook_refused"


def check_standard(headers: Mapping[str, str], body: bytes, *, secret: str, now: float) -> str:
    """Verify a call by Standard Webhooks (HMAC-SHA256, secret `whsec_…`) and return its message id."""
    message, stamp = _header(headers, "webhook-id"), _header(headers, "webhook-timestamp")
    _check_time(stamp, now)
    key = _decoded(secret.removeprefix("whsec_"))
    expected = hmac.new(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256).digest()
    given = [part.partition(",") for part in _header(headers, "webhook-signature").split()]
    if not any(
        version == "v1" and hmac.compare_digest(_decoded(text), expected) for version, _, text in given
    ):
        raise WebhookRefused("The signature does not fit.")
    return message


def check_fal(headers: Mapping[str, str], body: bytes, *, keys: Iterable[bytes], now: float) -> str:
    """Verify a call of fal with one of its public Ed25519 keys and return its request id."""
    names = ("request-id", "user-id", "timestamp")
    request, user, stamp = (_header(headers, f"x-fal-webhook-{name}") for name in names)
    _check_time(stamp, now)
    message = "\n".join([request, user, stamp, hashlib.sha256(body).hexdigest()]).encode()
    try:
        signature = bytes.fromhex(_header(headers, "x-fal-webhook-signature"))
    except ValueError:
        raise WebhookRefused("The signature is no hexadecimal number.") from None
    if not any(_is_signed(key, signature, message) for key in keys):
        raise WebhookRefused("The signature does not fit.")
    return request


def read_id(body: bytes, field: str) -> str:
    """Return the provider's own id of the job that a verified call is about."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get(field), str):
        raise WebhookRefused("The call names no job.")
    return str(value[field])


def read_key_set(document: Mapping[str, object]) -> list[bytes]:
    """Return the Ed25519 keys of a JSON Web Key Set (RFC 8037)."""
    keys = document.get("keys")
    found = [key.get("x") for key in keys if isinstance(key, Mapping)] if isinstance(keys, list) else []
    return [_decoded(x + "=" * (-len(x) % 4), urlsafe=True) for x in found if isinstance(x, str)]


def _is_signed(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _check_time(stamp: str, now: float) -> None:
    if not stamp.isdecimal() or len(stamp) > _DIGITS or abs(now - int(stamp)) > WINDOW:
        raise WebhookRefused("The call is not of now.")


def _header(headers: Mapping[str, str], name: str) -> str:
    if not (value := headers.get(name)):
        raise WebhookRefused(f"The header {name} is missing.")
    return value


def _decoded(text: str, *, urlsafe: bool = False) -> bytes:
    try:
        return base64.b64decode(text, altchars=b"-_" if urlsafe else None)
    except (binascii.Error, ValueError):
        return b""
