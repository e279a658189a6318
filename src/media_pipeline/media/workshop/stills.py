"""Pictures: opened by one decoder alone, upright, in the colours of the web, made small.

Everything here blocks and runs in a child process.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image, ImageCms, ImageOps

from media_pipeline.media.workshop.bare import ORIENTATION
from media_pipeline.media.workshop.orders import LADDER, Examined, Small
from media_pipeline.media.workshop.refusal import MAX_PIXELS, BadPicture, refusing, too_big
from media_pipeline.media.workshop.thumbhash import thumbhash
from media_pipeline.media.workshop.vips import shrunk_in_stream

_HASHED: Final = 64
_DECODERS: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
}
_SRGB: Final = ImageCms.createProfile("sRGB")
_QUALITY: Final = 78

with contextlib.suppress(ImportError):  # the extra `heic`
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


def examine_still(file: Path, folder: Path, content_type: str) -> Examined:
    """Decode the first frame for real and write its thumbnails; `BadPicture` if it is none."""
    with opened(file, content_type) as picture:
        width, height = picture.size
        picture.draft("RGB", (LADDER[0], LADDER[0]))
        smalls, mark = write_ladder(picture, folder)
        # The method of every picture: a PNG's own would decode all of one that was made small in a stream.
        if Image.Image.getexif(picture).get(ORIENTATION, 1) in SIDEWAYS:
            width, height = height, width
    return Examined(
        content_type=content_type,
        width=width,
        height=height,
        duration=None,
        thumbnails=smalls,
        thumbhash=mark,
    )


SIDEWAYS: Final = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap the sides."""


@contextmanager
def opened(file: Path, content_type: str) -> Generator[Image.Image, None, None]:
    """Open a picture with the decoder of `content_type` and no other."""
    with refusing("picture"), Image.open(file, formats=(_DECODERS[content_type],)) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise BadPicture(too_big("picture"))
        yield picture


def write_ladder(picture: Image.Image, folder: Path) -> tuple[list[Small], bytes]:
    """Write the thumbnails of a picture, the largest first, and return them with its ThumbHash.

    Each is made of the one before; none is larger than the picture.
    """
    sides = sorted({min(side, max(picture.size)) for side in LADDER}, reverse=True)
    smalls = []
    small = shrunk(picture, sides[0])
    for rung, side in enumerate(sides):
        small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        name = f"thumbnail_{rung}.webp"
        save_webp(small, folder / name)
        smalls.append(Small(name=name, width=small.width, height=small.height))
    small.thumbnail((_HASHED, _HASHED), Image.Resampling.BOX)
    return smalls, thumbhash(small)


def shrunk(picture: Image.Image, side: int) -> Image.Image:
    """Return the picture upright, in sRGB, at most `side` wide and high; turned when it is small already."""
    share = min(1.0, side / max(picture.size))
    size = max(1, round(picture.width * share)), max(1, round(picture.height * share))
    small = shrunk_in_stream(picture, size)
    if small is None:
        small = plain(picture).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return ImageOps.exif_transpose(in_srgb(small, picture.info.get("icc_profile")))


def upright(picture: Image.Image) -> Image.Image:
    """Return the picture as it is shown, in sRGB."""
    return ImageOps.exif_transpose(in_srgb(plain(picture), picture.info.get("icc_profile")))


def plain(picture: Image.Image) -> Image.Image:
    """Return it in eight bits a channel, with transparency if it has any; CMYK stays for its profile."""
    if picture.mode.startswith("I"):  # sixteen bits, which `convert` would cut off instead of scaling
        return picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.mode in {"RGB", "RGBA", "CMYK", "L"} and "transparency" not in picture.info:
        return picture
    transparent = picture.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in picture.info
    return picture.convert("RGBA" if transparent else "RGB")


def in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the picture in the colours of every screen; a profile that cannot be used is passed over."""
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    if profile and picture.mode in {"RGB", "RGBA", "CMYK"}:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            turned = ImageCms.profileToProfile(picture, source, _SRGB, outputMode=mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            turned = None
        if turned is not None:
            return turned
    return picture if picture.mode == mode else picture.convert(mode)


def save_webp(picture: Image.Image, file: Path) -> None:
    """Write a WebP without any metadata."""
    picture.save(file, "WEBP", quality=_QUALITY, method=2, exif=b"", xmp=b"", icc_profile=b"")
