"""What the workshop is asked for and what it answers.

Files are named by their place on this machine's disk; a child opens only what its order names.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

LADDER: Final = (1280, 512, 256)
"""The longest sides of thumbnails, in pixels."""

Fit = Literal["inside", "cover", "fill"]
StillFormat = Literal["png", "jpeg", "webp", "avif"]
Codec = Literal["h264", "hevc", "vp9", "av1"]


class _Operation(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """Something that can be made of an item."""


class Resize(_Operation, frozen=True, kw_only=True):
    """New sides in pixels: `inside` keeps the shape within them, `cover` cuts, `fill` stretches."""

    width: int | None = None
    height: int | None = None
    fit: Fit = "inside"


class Crop(_Operation, frozen=True, kw_only=True):
    """The part that begins at `x`, `y`, in pixels of the upright picture."""

    x: int
    y: int
    width: int
    height: int


class Convert(_Operation, frozen=True, kw_only=True):
    """Another format; `quality` 1..100 where the format loses detail."""

    format: StillFormat
    quality: int | None = None


class Thumbnail(_Operation, frozen=True, kw_only=True):
    """A WebP at most `size` wide and high; of a film its poster."""

    size: int


class Poster(_Operation, frozen=True, kw_only=True):
    """The frame shown at `at` seconds, as JPEG."""

    at: float = 0.0


class Transcode(_Operation, frozen=True, kw_only=True):
    """Another codec; `height` in pixels at most, `bitrate` in bits a second. VP9 is WebM, the others MP4."""

    codec: Codec
    height: int | None = None
    bitrate: int | None = None


class Trim(_Operation, frozen=True, kw_only=True):
    """The seconds from `start` to `end`, to the frame; pictures and sound are encoded anew."""

    start: float
    end: float


class Strip(_Operation, frozen=True, kw_only=True):
    """The same without metadata: no place, no camera, no names.

    JPEG, PNG, WebP and films keep their data bit for bit; of other pictures each frame is encoded anew.
    """


Operation = Resize | Crop | Convert | Thumbnail | Poster | Transcode | Trim | Strip


class Examine(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Look into `file`, which begins as `content_type` does, and put thumbnails into `folder`."""

    file: str
    folder: str
    content_type: str


class Make(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Do `operation` to `file` and put what comes out into `folder`."""

    file: str
    folder: str
    content_type: str
    operation: Operation


class Mark(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Write `file` into `folder` as PNG or MP4 (`content_type`) that carries `text` and `xmp`."""

    file: str
    folder: str
    content_type: Literal["image/png", "video/mp4"]
    text: dict[str, str]
    xmp: bytes


class Recall(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read what `Mark` wrote into `file` of how it was made."""

    file: str
    content_type: str


Order = Examine | Make | Mark | Recall


class Small(msgspec.Struct, frozen=True, kw_only=True):
    """A thumbnail: `name` in the folder, sides in pixels."""

    name: str
    width: int
    height: int


class Examined(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a file is. Sides in pixels as shown, `duration` in seconds; the largest thumbnail first."""

    content_type: str
    width: int
    height: int
    duration: float | None
    thumbnails: list[Small]
    thumbhash: bytes


class Made(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What was made: `name` in the folder."""

    name: str
    content_type: str


class Step(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`done` frames are finished, of `total` where that is known."""

    done: int
    total: int | None


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The file is not what it seems, or cannot take the operation; `reason` is one sentence."""

    reason: str


class Recalled(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How a file was made, by name; empty where it does not say so in our way."""

    facts: dict[str, str]


Message = Examined | Made | Step | Recalled | Refused
