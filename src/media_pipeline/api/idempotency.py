"""`Idempotency-Key`: the same request again gets the first one's answer, for 24 hours."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

import msgspec
from fastapi import Header

from media_pipeline.jsonvalue import Json

KEY_PATTERN: Final = r"^[\x21-\x7e]{1,255}$"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=KEY_PATTERN,
        description="The same key and body within 24 h give the same job; another body is refused.",
    ),
]


def hash_request(operation: str, body: Json) -> str:
    """Return what two requests have in common exactly if they ask for the same."""
    canonical = msgspec.json.encode([operation, body], order="deterministic")
    return hashlib.sha256(canonical).hexdigest()
