"""Which operation an item can take, and what comes out; decided from its row, before anything is decoded."""

from __future__ import annotations

from typing import Final, assert_never

from media_pipeline.media.item import Item
from media_pipeline.media.workshop.orders import (
    Convert,
    Crop,
    Operation,
    Poster,
    Resize,
    Strip,
    Thumbnail,
    Transcode,
    Trim,
)

_STILLS: Final = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/gif": "webp",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/heic": "jpeg",
}
"""The format of a result whose operation names none: a GIF becomes WebP, HEIC becomes JPEG."""
_FILMS: Final = {"video/webm": "webm", "video/quicktime": "mov", "video/mp4": "mp4"}


def target_format(content_type: str, operation: Operation) -> str:
    """Return the format of what `operation` makes, as its file's extension."""
    match operation:
        case Thumbnail():
            return "webp"
        case Poster():
            return "jpeg"
        case Convert(format=name):
            return name
        case Transcode(codec=codec):
            return "webm" if codec == "vp9" else "mp4"
        case Trim():
            return "mp4"
        case Resize() | Crop() | Strip():
            return _STILLS.get(content_type) or _FILMS[content_type]
    assert_never(operation)


def refusal(item: Item, operation: Operation) -> str | None:
    """Return why `item` cannot take `operation`, in one sentence; None if it can."""
    name = type(operation).__name__.lower()
    match operation:
        case Poster() | Transcode() | Trim() if item.kind != "video":
            return f"Only a video can be asked for {name}."
        case Resize() | Crop() | Convert() if item.kind != "image":
            return f"Only an image can be asked for {name}."
        case Crop():
            return _outside(item, operation)
        case Poster(at=at) if at >= (item.duration or 0):
            return f"at must be before the video's end at {item.duration} seconds."
        case Trim(start=start) if start >= (item.duration or 0):
            return f"start must be before the video's end at {item.duration} seconds."
        case _:
            return None if item.kind != "file" else "Only images and videos can be processed."


def _outside(item: Item, part: Crop) -> str | None:
    width, height = item.width or 0, item.height or 0
    if part.x + part.width <= width and part.y + part.height <= height:
        return None
    return f"The part lies outside the image of {width} x {height} pixels."
