"""Marking pictures and films with where they come from; what is no PNG is encoded as one.

Everything here is pure, blocks and decodes: it runs in a child process (`workshop/`). `BadPicture` means that
the bytes are not what they claim to be, or are more than this service decodes.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

from media_pipeline.media.boxes import mark_mp4
from media_pipeline.media.marks import Malformed, mark_png, xmp_packet
from media_pipeline.media.workshop import films
from media_pipeline.media.workshop.refusal import MAX_PIXELS, BadPicture, refusing, too_big

__all__ = ["BadPicture", "stamp_mp4", "to_png", "xmp_packet"]

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF")
_PLAIN_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})


def to_png(data: bytes, *, text: Mapping[str, str], xmp: bytes) -> bytes:
    """Return the picture as PNG that carries `text` and `xmp`.

    A PNG keeps its pixel bytes and its other chunks; only text of the same keys and XMP are replaced.
    Anything else is decoded, turned upright and encoded anew.
    """
    with refusing("picture"), Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise BadPicture(too_big("picture"))
        picture.load()
        return mark_png(data if picture.format == "PNG" else _encoded(picture), text=text, xmp=xmp)


def stamp_mp4(data: bytes, *, text: Mapping[str, str], xmp: bytes) -> bytes:
    """Return the film as MP4 with `text` as its comment, a prompt as its title, and `xmp`.

    Pictures and sound keep their bytes. The film must already be MP4: `BadPicture` otherwise.
    """
    with tempfile.TemporaryDirectory() as folder, refusing("film"):
        file = Path(folder) / "film"
        file.write_bytes(data)
        with films.opened(file) as (container, stream):
            films.first_frame(container, stream)
            if films.film_type(container) != "video/mp4":
                raise BadPicture("The film is not an MP4.")
    try:
        return mark_mp4(data, text=text, xmp=xmp)
    except Malformed as error:
        raise BadPicture("The MP4 is damaged.") from error


def _encoded(picture: Image.Image) -> bytes:
    upright = ImageOps.exif_transpose(picture)
    plain = upright if upright.mode in _PLAIN_MODES else upright.convert("RGB")
    out = io.BytesIO()
    plain.save(out, "PNG", compress_level=6, exif=b"", icc_profile=picture.info.get("icc_profile"))
    return out.getvalue()
