"""Cursors: a place in a list, opaque to whoever carries it."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from media_pipeline.api.problems import Problem

T = TypeVar("T")


def write_cursor(place: object) -> str:
    """Write a place as text for a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read_cursor(text: str, kind: type[T]) -> T:
    """Read a place back; 422 for text that no answer gave."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise Problem(422, "invalid_cursor", "The cursor is not one that a page gave.") from error
