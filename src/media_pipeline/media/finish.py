"""Finishing what was generated: marked and looked into by the workshop, from bytes to bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from media_pipeline.media.item import Item, Rung, shown_rung, write_thumbhash
from media_pipeline.media.workshop.orders import Examined, Mark
from media_pipeline.media.workshop.workshop import Workshop
from media_pipeline.storage.threads import blocking

Promised = Literal["image/png", "video/mp4"]
Write = Callable[[str, bytes, str], Awaitable[object]]
"""Puts bytes of a content type at a path."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What a file is, and its thumbnails as WebP, the largest first."""

    examined: Examined
    thumbnails: Sequence[bytes]


async def finish(
    workshop: Workshop,
    data: bytes,
    promised: Promised,
    *,
    text: Mapping[str, str],
    xmp: bytes,
    sign: Callable[[bytes], bytes] | None = None,
) -> tuple[bytes, Looks]:
    """Return `data` encoded as `promised` with `text` and `xmp`, signed, and how it looks; `BadPicture`."""
    with tempfile.TemporaryDirectory(prefix="media-pipeline-") as name:
        folder = Path(name)
        await blocking((folder / "file").write_bytes, data)
        order = Mark(file=str(folder / "file"), folder=name, content_type=promised, text=dict(text), xmp=xmp)
        marked = await workshop.mark(order)
        if sign is not None:
            await blocking(lambda: marked.write_bytes(sign(marked.read_bytes())))
        return await blocking(marked.read_bytes), await look(workshop, marked, promised)


async def look_at(workshop: Workshop, data: bytes, promised: Promised) -> Looks:
    """Return how `data` looks, which stays as it is; `BadPicture`."""
    with tempfile.TemporaryDirectory(prefix="media-pipeline-") as name:
        file = Path(name) / "file"
        await blocking(file.write_bytes, data)
        return await look(workshop, file, promised)


async def write_rungs(write: Write, looks: Looks, paths: Sequence[str]) -> tuple[Rung, ...]:
    """Write the thumbnails by `write`; `paths` are those of a whole ladder."""
    rungs = []
    for path, small, data in zip(paths, looks.examined.thumbnails, looks.thumbnails, strict=False):
        await write(path, data, "image/webp")
        rungs.append(Rung(path, small.width, small.height))
    return tuple(rungs)


def as_it_looks(item: Item, examined: Examined, rungs: Sequence[Rung]) -> Item:
    """Return `item` with what was seen of it: its sides, its length, its thumbnails."""
    return replace(
        item,
        width=examined.width,
        height=examined.height,
        duration=examined.duration,
        thumbnail_path=shown_rung(rungs).path,
        thumbnails=tuple(rungs),
        thumbhash=write_thumbhash(examined.thumbhash),
    )


async def look(workshop: Workshop, file: Path, content_type: str) -> Looks:
    """Look into a file that lies in a folder of its own; `BadPicture`, `TooMuchWork`."""
    examined = await workshop.examine(file, file.parent, content_type)
    files = [file.parent / small.name for small in examined.thumbnails]
    return Looks(examined, [await blocking(small.read_bytes) for small in files])
