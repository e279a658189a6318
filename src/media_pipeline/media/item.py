"""One thing in a user's library."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

import msgspec

from media_pipeline.ids import JobId, UserId

ItemKind = Literal["image", "video", "file"]
Source = Literal["generated", "upload", "import", "process"]

_WORD = re.compile(r"[^\W_]+")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A library row. `size` in bytes, sides in pixels, `duration` in seconds, `created_at` in Unix seconds.

    `version` is the stored object's; the item stands for exactly those bytes.
    """

    path: str
    user_id: UserId
    job_id: JobId
    kind: ItemKind
    source: Source
    name: str
    content_type: str
    size: int
    version: str
    created_at: float
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    thumbnail_path: str | None = None
    alt: str | None = None
    prompt: str | None = None
    model: str | None = None
    seed: int | None = None


def fold_words(text: str) -> list[str]:
    """Split text into words as search compares them: no case, no accents, no punctuation."""
    plain = unicodedata.normalize("NFKD", text)
    bare = "".join(character for character in plain if not unicodedata.combining(character))
    return _WORD.findall(bare.casefold())


def searchable_words(item: Item) -> str:
    """Return what search reads of an item, a space before each word."""
    return "".join(f" {word}" for word in fold_words(f"{item.name} {item.prompt or ''}"))
