"""Pictures without what was written about them, their pixels bit for bit as they were.

Guarantees: what makes the picture is kept and nothing else: its own data, its colour profile, how it is held
and how its frames follow each other. What stands behind its end, such as another picture or a film, goes too.
Not guaranteed: that a profile of colours, which says whose it is, says nothing of its owner.
Formats: JPEG (ITU-T T.81 annex B, JFIF, ICC.1 annex B), PNG (third edition), WebP (RFC 9649).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from mmap import mmap
from typing import Final

from PIL import Image

from media_pipeline.media.marks import PNG_SIGNATURE, Chunk, Malformed, read_chunks

ORIENTATION: Final = 0x0112
UPRIGHT: Final = 1
TURNED: Final = frozenset(range(2, 9))
"""The tag of Exif that says how a picture is held, and what it can say."""
_EXIF: Final = b"Exif\0\0"

_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE
_PART_OF_JPEG: Final = frozenset({*range(0xC0, 0xE0)} - {0xC8, *range(0xD0, 0xDA)}) | {_SOS}
"""Frames, tables and scans; all others are an application's or a person's words, or reserved."""
_JFIF_SIZE: Final = 12
_ADOBE_SIZE: Final = 12
_LENGTH: Final = struct.Struct(">H")
_SCAN_END: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""A marker that ends a scan: no restart, nor 0xFF as the scan itself writes it."""

_PART_OF_PNG: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs acTL fcTL fdAT".split()
)
_PART_OF_WEBP: Final = frozenset({b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"})
_RIFF: Final = struct.Struct("<4sI4s")
_WEBP_CHUNK: Final = struct.Struct("<4sI")
_HAS_EXIF, _HAS_XMP = 0x08, 0x04


def bare_jpeg(data: bytes | mmap, orientation: int) -> Iterator[bytes]:
    """Yield what makes the picture of a JPEG; raises `Malformed`."""
    yield bytes((0xFF, _SOI))
    if orientation != UPRIGHT:
        yield _segment(_APP1, _EXIF + _held(orientation))
    place = 2
    while True:
        marker, place = _marker_at(data, place)
        if marker == _EOI:
            yield bytes((0xFF, _EOI))
            return
        body = _body_at(data, place)
        place += _LENGTH.size + len(body)
        kept = _kept(marker, body)
        if kept is not None:
            yield _segment(marker, kept)
        if marker == _SOS:
            end = _SCAN_END.search(data, place)
            if end is None:
                raise Malformed("a scan has no end")
            yield data[place : end.start()]
            place = end.start()


def bare_png(data: bytes | mmap, orientation: int) -> Iterator[bytes]:
    """Yield what makes the picture of a PNG; raises `Malformed`."""
    yield PNG_SIGNATURE
    for chunk in read_chunks(data):
        if chunk.kind in _PART_OF_PNG:
            yield chunk.packed()
        if chunk.kind == b"IHDR" and orientation != UPRIGHT:
            yield Chunk(b"eXIf", _held(orientation)).packed()


def bare_webp(data: bytes | mmap, orientation: int) -> Iterator[bytes]:
    """Yield what makes the picture of a WebP; raises `Malformed`."""
    held = [(b"EXIF", _held(orientation))] if orientation != UPRIGHT else []
    kept = [(kind, body) for kind, body in _webp_chunks(data) if kind in _PART_OF_WEBP]
    if kept and kept[0][0] == b"VP8X":  # without it there is nothing but a picture
        kept = [(b"VP8X", _flagged(kept[0][1], exif=bool(held))), *kept[1:], *held]
    parts = [_WEBP_CHUNK.pack(kind, len(body)) + body + bytes(len(body) % 2) for kind, body in kept]
    yield _RIFF.pack(b"RIFF", len(b"WEBP") + sum(map(len, parts)), b"WEBP")
    yield from parts


BARE: Final[Mapping[str, Callable[[bytes | mmap, int], Iterator[bytes]]]] = {
    "image/jpeg": bare_jpeg,
    "image/png": bare_png,
    "image/webp": bare_webp,
}
"""Each is given a file and how its picture is held, as Exif says it."""


def _held(orientation: int) -> bytes:
    """Return an Exif block that says how a picture is held, and nothing else."""
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes().removeprefix(_EXIF)


def _marker_at(data: bytes | mmap, place: int) -> tuple[int, int]:
    """Return a JPEG's marker, before which 0xFF may stand more than once, and the place behind it."""
    begin = place
    while data[place : place + 1] == b"\xff":
        place += 1
    if place == begin or place == len(data):
        raise Malformed("a marker is missing")
    return data[place], place + 1


def _body_at(data: bytes | mmap, place: int) -> bytes:
    try:
        (length,) = _LENGTH.unpack_from(data, place)
    except struct.error as error:
        raise Malformed("a segment is cut off") from error
    body = data[place + _LENGTH.size : place + length]
    if len(body) != length - _LENGTH.size:
        raise Malformed("a segment is cut off")
    return body


def _kept(marker: int, body: bytes) -> bytes | None:
    """Return what a segment of a JPEG says of the picture; None for one that says nothing."""
    if marker in _PART_OF_JPEG or (marker == _APP2 and body.startswith(b"ICC_PROFILE\0")):
        return body
    if marker == _APP0 and body.startswith(b"JFIF\0"):
        return body[:_JFIF_SIZE] + b"\0\0"  # without its thumbnail
    if marker == _APP14 and body.startswith(b"Adobe"):
        return body[:_ADOBE_SIZE]
    return None


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + _LENGTH.pack(_LENGTH.size + len(body)) + body


def _flagged(body: bytes, *, exif: bool) -> bytes:
    """Return the body of `VP8X`, which says whether there is Exif and that there is no XMP."""
    (flags,) = body[:1] or b"\0"
    return bytes((flags & ~(_HAS_EXIF | _HAS_XMP) | (_HAS_EXIF if exif else 0),)) + body[1:]


def _webp_chunks(data: bytes | mmap) -> Iterator[tuple[bytes, bytes]]:
    try:
        riff, size, form = _RIFF.unpack_from(data, 0)
        place, end = _RIFF.size, size + 8
        if (riff, form) != (b"RIFF", b"WEBP") or end > len(data):
            raise Malformed("no WebP, or one that is cut off")
        while place < end:
            kind, length = _WEBP_CHUNK.unpack_from(data, place)
            start = place + _WEBP_CHUNK.size
            place = start + length + length % 2
            if place > end:
                raise Malformed("a chunk is cut off")
            yield kind, data[start : start + length]
    except struct.error as error:
        raise Malformed("a chunk is cut off") from error
