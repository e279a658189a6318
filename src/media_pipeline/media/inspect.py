"""Looking into a file for real: its sides, its length, a picture of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from media_pipeline.media import pictures
from media_pipeline.media.item import ItemKind
from media_pipeline.storage.threads import blocking


@dataclass(frozen=True, slots=True)
class Inspected:
    """Sides in pixels as shown, `duration` in seconds, `thumbnail` as WebP."""

    width: int
    height: int
    duration: float | None
    thumbnail: bytes


async def inspect_file(file: Path, kind: ItemKind) -> Inspected:
    """Decode a file off the event loop; `BadPicture` if it is not what its first bytes promise."""
    return await blocking(inspect, file, kind)


def inspect(source: bytes | Path, kind: ItemKind) -> Inspected:
    """Decode a picture's bytes, or a video's bytes or file; blocks."""
    if kind == "video":
        film = pictures.measure_video(source)
        return Inspected(film.width, film.height, film.duration, pictures.poster(source))
    if isinstance(source, Path):
        source = source.read_bytes()
    picture = pictures.measure_image(source)
    return Inspected(picture.width, picture.height, None, pictures.thumbnail(source))
