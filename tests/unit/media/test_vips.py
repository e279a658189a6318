"""Large PNGs look and are refused alike, with the extra `vips` and without."""

from __future__ import annotations

import io
import re
import struct
import sys
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from media_pipeline.media.workshop.orders import Examined, Thumbnail
from media_pipeline.media.workshop.refusal import BadPicture
from media_pipeline.media.workshop.vips import shrunk_in_stream
from media_pipeline.media.workshop.workshop import Workshop, WorkshopLimits
from tests.corpus import bomb, exif, upright

SIDES = 2601, 1601
SMALL = 1280, 788
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXCHANGED = PROFILE.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
"""A profile in which red is blue."""


def large(mode: str = "RGB", **options: Any) -> bytes:
    """Return the corpus's picture with waves in it; where one may be transparent, lines are."""
    waves = (np.sin(np.arange(SIDES[0]) / 9)[None, :, None] * 20 + 20).astype(np.uint8)
    pixels = np.asarray(upright().resize(SIDES)) // 5 * 4 + waves
    picture = Image.fromarray(pixels).convert(mode)
    if mode == "RGBA":
        alpha = np.full(SIDES[::-1], 255, np.uint8)
        alpha[::3] = 0
        picture.putalpha(Image.fromarray(alpha))
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(colour: int, depth: int, rows: bytes, sides: tuple[int, int]) -> bytes:
    header = struct.pack(">IIBBBBB", *sides, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def sixteen_bits() -> bytes:
    """Return colours of sixteen bits: a slope across, with another in its low bytes."""
    slope = np.linspace(0, 65535, SIDES[0]).astype(">u2")
    row = b"\0" + np.repeat(slope, 3).tobytes()
    return png(2, 16, row * SIDES[1], SIDES)


def turned_at_its_end() -> bytes:
    """Return a picture that says behind its pixels how it is turned."""
    whole = large()
    return whole[:-12] + chunk(b"eXIf", exif(6).tobytes()[6:]) + whole[-12:]


def animated() -> bytes:
    first, second = (Image.new("RGB", SIDES, colour) for colour in ("red", "blue"))
    out = io.BytesIO()
    first.save(out, "PNG", save_all=True, append_images=[second], duration=100, compress_level=1)
    return out.getvalue()


def damaged() -> bytes:
    whole = bytearray(large())
    whole[-14] ^= 255  # in the checksum of its last pixels
    return bytes(whole)


STREAMED: dict[str, Callable[[], bytes]] = {
    "colours": large,
    "grey": lambda: large("L"),
    "transparent": lambda: large("RGBA"),
    "sixteen bits": sixteen_bits,
    "turned": lambda: large(exif=exif(6)),
    "other colours": lambda: large(icc_profile=EXCHANGED),
}
LEFT: dict[str, Callable[[], bytes]] = {
    "turned at its end": turned_at_its_end,
    "animated": animated,
    "palette": lambda: large("P"),
    "one colour is none": lambda: large(transparency=(255, 0, 0)),
    "grey and transparent": lambda: large("LA"),
    "with a checksum that Pillow does not read": damaged,
}
REFUSED: dict[str, Callable[[], bytes]] = {
    "cut off": lambda: large()[:-50_000],
    "bomb": lambda: bomb(50_000, 50_000),
}


@asynccontextmanager
async def both_ways(tmp_path: Path) -> AsyncGenerator[tuple[Workshop, Workshop], None]:
    """Open a workshop whose child has the library, and one whose child does not find it."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "pyvips.py").write_text("raise ImportError")
    having, lacking = Workshop(processes=1), Workshop(processes=1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(hidden))
            await look(lacking, large("L"), tmp_path)
        yield having, lacking
    finally:
        await having.aclose()
        await lacking.aclose()


async def look(workshop: Workshop, data: bytes, folder: Path) -> tuple[Examined, list[Image.Image]]:
    (folder / "file").write_bytes(data)
    seen = await workshop.examine(folder / "file", folder, "image/png")
    return seen, [Image.open(folder / small.name).convert("RGBA") for small in seen.thumbnails]


async def test_a_large_picture_looks_alike_with_and_without(tmp_path: Path) -> None:
    """Sides, thumbnails and their colours are those that Pillow gives."""
    async with both_ways(tmp_path) as (having, lacking):
        for name in (*STREAMED, "turned at its end"):
            data = {**STREAMED, **LEFT}[name]()
            expected, pictures = await look(lacking, data, tmp_path)
            seen, others = await look(having, data, tmp_path)
            assert (name, seen.width, seen.height) == (name, expected.width, expected.height)
            assert (name, seen.thumbnails) == (name, expected.thumbnails)
            for one, other in zip(pictures, others, strict=True):
                assert (name, apart(one, other) < (1.5, 12)) == (name, True)


def apart(one: Image.Image, other: Image.Image) -> tuple[float, float]:
    """Return how far two pictures on white are apart: on average, and but for one value in a hundred."""
    paper = Image.new("RGBA", one.size, "white")
    shown = (np.asarray(Image.alpha_composite(paper, each), np.int16) for each in (one, other))
    far = np.abs(np.subtract(*shown))
    return float(far.mean()), float(np.percentile(far, 99))


@pytest.mark.parametrize("name", REFUSED)
async def test_a_bad_picture_is_refused_with_and_without(name: str, tmp_path: Path) -> None:
    """What Pillow refuses is refused, and for the same reason."""
    async with both_ways(tmp_path) as (having, lacking):
        with pytest.raises(BadPicture) as error:
            await look(lacking, REFUSED[name](), tmp_path)
        with pytest.raises(BadPicture, match=re.escape(str(error.value))):
            await look(having, REFUSED[name](), tmp_path)


@pytest.mark.parametrize("name", [*STREAMED, *LEFT, "cut off"])
def test_only_what_is_streamed_well_is_not_left_to_pillow(name: str, tmp_path: Path) -> None:
    """Plain large pictures come from the library; of an odd or bad one it says nothing."""
    file = tmp_path / "file"
    file.write_bytes({**STREAMED, **LEFT, **REFUSED}[name]())
    with Image.open(file) as picture:
        small = shrunk_in_stream(picture, SMALL)
        assert (small is not None) == (name in STREAMED)
        assert small is None or (small.size, small.mode) == (SMALL, picture.mode)
        assert shrunk_in_stream(picture, (2000, 1334)) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory")
async def test_a_picture_is_never_whole_in_memory(tmp_path: Path) -> None:
    """A child that has less memory than the pixels take makes thumbnails of them."""
    sides = 9000, 8000
    (tmp_path / "file").write_bytes(png(2, 8, bytes(sides[1] * (1 + 3 * sides[0])), sides))
    workshop = Workshop(WorkshopLimits(memory_bytes=190 * 1024**2), processes=1)
    try:
        seen = await workshop.examine(tmp_path / "file", tmp_path, "image/png")
        made = workshop.make(tmp_path / "file", tmp_path, "image/png", Thumbnail(size=200))
        assert [message async for message in made]
    finally:
        await workshop.aclose()
    assert (seen.width, seen.height) == sides


def test_nothing_but_png_is_opened(tmp_path: Path) -> None:
    """Every other reader and every writer of the library is shut."""
    picture = pyvips.Image.black(8, 8)
    for kind in ("JPEG", "WEBP", "GIF", "TIFF", "AVIF"):
        upright().save(tmp_path / "other", kind)
        with pytest.raises(pyvips.Error):
            pyvips.Image.new_from_file(str(tmp_path / "other"))
    for text in ("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "1 1\n1\n"):
        with pytest.raises(pyvips.Error):
            pyvips.Image.new_from_buffer(text.encode(), "")
    with pytest.raises(pyvips.Error, match="blocked"):
        pyvips.Image.rawload(str(tmp_path / "other"), 1, 1, 1)
    with pytest.raises(pyvips.Error):
        picture.pngsave(str(tmp_path / "out"))
