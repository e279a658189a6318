"""Large PNGs, decoded and made small in one stream by libvips: the extra `vips`.

Guarantees: a picture is taken, refused and shown as it is without the extra, for all that libvips complains
of, and all that it cannot stream, is left to Pillow; libvips opens PNG and nothing else, in one thread, and
keeps nothing of a file. Not guaranteed: the same pixels to the last bit; each rounds in its own way.
"""

from __future__ import annotations

import struct
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

try:
    import pyvips
except (ImportError, OSError):  # without the extra, or without the library that it needs
    pyvips = None
else:
    pyvips.operation_block_set("VipsForeign", state=True)
    pyvips.operation_block_set("VipsForeignLoadPng", state=False)
    pyvips.concurrency_set(1)
    pyvips.cache_set_max(0)

LARGE: Final = 4_000_000
"""So many pixels are worth a stream."""
_WIDEST: Final = 50_000
"""A stream holds many rows at once."""
_BANDS: Final = {"L": 1, "RGB": 3, "RGBA": 4}
_CHUNK: Final = struct.Struct(">I4s")


def shrunk_in_stream(picture: Image.Image, size: tuple[int, int]) -> Image.Image | None:
    """Return the picture in `size` with all that its file says of it; None where Pillow is to do it."""
    if pyvips is None or not isinstance(picture, PngImageFile) or not _streams(picture, size):
        return None
    try:
        small = _shrink(str(picture.filename), picture.mode, size)
    except pyvips.Error:
        return None
    if small is not None:
        small.info = dict(picture.info)
    return small


def _streams(picture: PngImageFile, size: tuple[int, int]) -> bool:
    return (
        picture.width * picture.height >= LARGE
        and picture.width <= _WIDEST
        and 2 * size[0] <= picture.width
        and picture.mode in _BANDS
        and picture.n_frames == 1
        and not picture.info.keys() & {"interlace", "transparency"}
        and _says_all_before_its_pixels(Path(str(picture.filename)))
    )


def _says_all_before_its_pixels(file: Path) -> bool:
    """Tell whether a PNG ends with its pixels; what stands behind them Pillow finds by decoding all."""
    with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
        place, before = 8, b""
        while place + _CHUNK.size <= len(data):
            length, kind = _CHUNK.unpack_from(data, place)
            if before == b"IDAT" != kind:
                return bool(kind == b"IEND")
            place, before = place + _CHUNK.size + length + 4, kind
    return False


def _shrink(file: str, mode: str, size: tuple[int, int]) -> Image.Image | None:
    whole = pyvips.Image.pngload(file, access="sequential", fail_on="warning")
    if whole.bands != _BANDS[mode]:
        return None
    if whole.format == "ushort":  # the high byte of sixteen bits, as Pillow reads them
        whole = (whole >> 8).cast("uchar")
    across, down = size[0] / whole.width, size[1] / whole.height
    if whole.bands == _BANDS["RGBA"]:
        small = whole.premultiply().cast("uchar").resize(across, vscale=down).unpremultiply().cast("uchar")
    else:
        small = whole.resize(across, vscale=down)
    return Image.frombytes(mode, size, small.write_to_memory())
