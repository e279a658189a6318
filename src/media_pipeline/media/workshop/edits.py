"""What can be made of a picture: each frame is changed, and all are written anew without metadata.

Who only wants its metadata gone gets the picture itself, where its format lets metadata be left out.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final, assert_never

from PIL import Image, ImageOps, ImageSequence

from media_pipeline.media.marks import Malformed
from media_pipeline.media.workshop.bare import BARE, ORIENTATION, TURNED, UPRIGHT
from media_pipeline.media.workshop.orders import (
    Convert,
    Crop,
    Made,
    Resize,
    Step,
    Strip,
    Thumbnail,
)
from media_pipeline.media.workshop.refusal import MAX_PIXELS, BadPicture, too_big
from media_pipeline.media.workshop.stills import opened, save_webp, shrunk, upright
from media_pipeline.media.workshop.targets import target_format

StillOperation = Resize | Crop | Convert | Thumbnail | Strip
_MOVING: Final = frozenset({"png", "webp", "avif"})
_QUALITY: Final = 90
Steps = Generator[Step | Made, None, None]


def edit_still(file: Path, folder: Path, content_type: str, operation: StillOperation) -> Steps:
    """Do `operation`, telling each finished frame; ends with `Made`."""
    target = target_format(content_type, operation)
    with opened(file, content_type) as picture:
        if isinstance(operation, Thumbnail):
            yield _thumbnail(picture, folder, operation.size)
            return
        if isinstance(operation, Strip) and content_type in BARE:
            with suppress(Malformed):  # a decoder may still make something of it
                yield _bared(picture, file, folder / f"made.{target}", content_type)
                return
        total = getattr(picture, "n_frames", 1) if target in _MOVING else 1
        if total * picture.width * picture.height > MAX_PIXELS:
            raise BadPicture(too_big("picture"))
        frames, durations = [], []
        for done, frame in enumerate(islice(ImageSequence.Iterator(picture), total), 1):
            frames.append(_change(upright(frame), operation))
            durations.append(frame.info.get("duration", 0))
            yield Step(done=done, total=total)
    quality = operation.quality if isinstance(operation, Convert) else None
    _save(frames, folder / f"made.{target}", target, quality=quality or _QUALITY, durations=durations)
    yield Made(name=f"made.{target}", content_type=f"image/{target}")


def _thumbnail(picture: Image.Image, folder: Path, size: int) -> Made:
    picture.draft("RGB", (size, size))
    save_webp(shrunk(picture, size), folder / "made.webp")
    return Made(name="made.webp", content_type="image/webp")


def _bared(picture: Image.Image, source: Path, file: Path, content_type: str) -> Made:
    """Write the picture's own data as they are, without metadata; raises `Malformed`."""
    held = picture.getexif().get(ORIENTATION)
    with (
        source.open("rb") as read,
        mmap(read.fileno(), 0, access=ACCESS_READ) as data,
        file.open("wb") as written,
    ):
        written.writelines(BARE[content_type](data, held if held in TURNED else UPRIGHT))
    return Made(name=file.name, content_type=content_type)


def _change(frame: Image.Image, operation: StillOperation) -> Image.Image:
    match operation:
        case Resize():
            return _resized(frame, operation)
        case Crop(x=x, y=y, width=width, height=height):
            if x + width > frame.width or y + height > frame.height:
                raise BadPicture(f"The part lies outside {frame.width} x {frame.height} pixels.")
            return frame.crop((x, y, x + width, y + height))
        case Convert() | Strip() | Thumbnail():
            return frame.copy()
    assert_never(operation)


def _resized(frame: Image.Image, operation: Resize) -> Image.Image:
    width = operation.width or max(1, round(frame.width * (operation.height or 1) / frame.height))
    height = operation.height or max(1, round(frame.height * width / frame.width))
    lanczos = Image.Resampling.LANCZOS
    match operation.fit:
        case "inside":
            share = min(width / frame.width, height / frame.height)
            size = max(1, round(frame.width * share)), max(1, round(frame.height * share))
            return frame.resize(size, lanczos, reducing_gap=2.0)
        case "cover":
            return ImageOps.fit(frame, (width, height), lanczos)
        case "fill":
            return frame.resize((width, height), lanczos, reducing_gap=2.0)


def _save(
    frames: list[Image.Image], file: Path, target: str, *, quality: int, durations: list[float]
) -> None:
    """Write frames without anything that was written about them."""
    first, *rest = (_opaque(frame) for frame in frames) if target == "jpeg" else frames
    for frame in (first, *rest):
        frame.info = {}
    options: dict[str, Any] = {} if target == "png" else {"quality": quality}
    if rest:
        options |= {"save_all": True, "append_images": rest, "duration": durations, "loop": 0}
    first.save(file, target.upper(), **options)


def _opaque(picture: Image.Image) -> Image.Image:
    """Lay a picture with transparency on white, for a format that has none."""
    if picture.mode != "RGBA":
        return picture
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture, mask=picture.getchannel("A"))
    return paper
