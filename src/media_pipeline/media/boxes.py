"""Where a film comes from, written into its MP4 boxes; pictures and sound keep their bytes.

The text goes where players look for it (`moov/udta/meta/ilst`) and the XMP into a `uuid` box at the end,
as the XMP specification (part 3, 1.2.7) says. Boxes that move take the chunk offsets with them, so an index
at the front stays there. A fragmented film keeps its `moov` as it is and gets the XMP alone.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import Final

from media_pipeline.media.marks import Malformed

_XMP_ID: Final = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
_SHORT, _LONG = struct.Struct(">I4s"), struct.Struct(">Q")
_COUNT: Final = struct.Struct(">4xI")
_TO_OFFSETS: Final = (b"trak", b"mdia", b"minf", b"stbl")
_UTF8: Final = 1
_TITLE_MAX: Final = 200
_TITLE, _COMMENT, _TOOL = b"\xa9nam", b"\xa9cmt", b"\xa9too"
_META_HANDLER: Final = b"\0" * 8 + b"mdirappl" + b"\0" * 9


@dataclass(frozen=True, slots=True)
class Box:
    """A box of a film: its `kind`, where it starts, where its content starts, where it ends."""

    kind: bytes
    start: int
    body: int
    end: int


def mark_mp4(data: bytes, *, text: Mapping[str, str], xmp: bytes) -> bytes:
    """Return the MP4 with `text` and `xmp`, replacing a title, comment, tool and XMP it has.

    `text` becomes the comment as JSON; its `prompt` is the title and its `Software` the tool, too.
    Raises `Malformed` when the boxes do not add up.
    """
    boxes = list(read_boxes(data, 0, len(data)))
    fragmented = any(box.kind == b"moof" for box in boxes)
    parts = [
        _with_text(data, box, text) if box.kind == b"moov" and not fragmented else _explicit(data, box)
        for box in boxes
        if not _is_xmp(data, box)
    ]
    moved = list(_moves([box for box in boxes if not _is_xmp(data, box)], parts))
    finished = [_relocated(part, moved) if part[4:8] == b"moov" else part for part in parts]
    return b"".join((*finished, _box(b"uuid", _XMP_ID + xmp)))


def mp4_xmp(data: bytes | mmap) -> bytes:
    """Return the XMP of a film; empty where there is none. Raises `Malformed`."""
    found = (box for box in read_boxes(data, 0, len(data)) if _is_xmp(data, box))
    return next((data[box.body + len(_XMP_ID) : box.end] for box in found), b"")


def read_boxes(data: bytes | bytearray | mmap, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between `start` and `end`; raises `Malformed`."""
    while start < end:
        try:
            size, kind = _SHORT.unpack_from(data, start)
            body = start + _SHORT.size
            if size == 1:
                (size,) = _LONG.unpack_from(data, body)
                body += _LONG.size
        except struct.error as error:
            raise Malformed("a box is cut off") from error
        stop = start + size if size else end
        if not body <= stop <= end:
            raise Malformed("a box is longer than what holds it")
        yield Box(kind, start, body, stop)
        start = stop


def _with_text(data: bytes, moov: Box, text: Mapping[str, str]) -> bytes:
    """Return the whole `moov` box with new user data at its end."""
    children = list(read_boxes(data, moov.body, moov.end))
    users = [box for box in children if box.kind == b"udta"]
    kept = b"".join(data[box.start : box.end] for box in children if box.kind != b"udta")
    other, items = b"", b""
    for box in (inner for user in users for inner in _user_boxes(data, user)):
        if box.kind == b"meta":
            items += _kept_items(data, box)
        else:
            other += data[box.start : box.end]
    handler = _box(b"hdlr", _META_HANDLER)
    meta = _box(b"meta", b"\0\0\0\0" + handler + _box(b"ilst", items + _items(text)))
    return _box(b"moov", kept + _box(b"udta", other + meta))


def _user_boxes(data: bytes, user: Box) -> Iterator[Box]:
    """The boxes of user data; QuickTime ends it with four zero bytes."""
    tail = 4 if data[user.end - 4 : user.end] == b"\0\0\0\0" and user.end - user.body != _SHORT.size else 0
    return read_boxes(data, user.body, user.end - tail)


def _kept_items(data: bytes, meta: Box) -> bytes:
    lists = [box for box in read_boxes(data, meta.body + 4, meta.end) if box.kind == b"ilst"]
    items = [item for box in lists for item in read_boxes(data, box.body, box.end)]
    ours = (_TITLE, _COMMENT, _TOOL)
    return b"".join(data[item.start : item.end] for item in items if item.kind not in ours)


def _items(text: Mapping[str, str]) -> bytes:
    items = _item(_COMMENT, json.dumps(dict(text), ensure_ascii=False))
    if prompt := text.get("prompt"):
        items += _item(_TITLE, prompt[:_TITLE_MAX])
    if software := text.get("Software"):
        items += _item(_TOOL, software)
    return items


def _item(kind: bytes, value: str) -> bytes:
    return _box(kind, _box(b"data", struct.pack(">II", _UTF8, 0) + value.encode()))


def _explicit(data: bytes, box: Box) -> bytes:
    """Return a box as it is, but one that ran to the end of the file with its true length."""
    whole = data[box.start : box.end]
    if whole[:4] != b"\0\0\0\0":
        return whole
    if len(whole) >= 2**32:
        raise Malformed("a box is too long for its header")
    return _SHORT.pack(len(whole), box.kind) + whole[_SHORT.size :]


def _moves(boxes: Sequence[Box], parts: Sequence[bytes]) -> Iterator[tuple[range, int]]:
    """Yield which bytes moved, and by how much."""
    place = 0
    for box, part in zip(boxes, parts, strict=True):
        yield range(box.start, box.end), place - box.start
        place += len(part)


def _relocated(moov: bytes, moves: Sequence[tuple[range, int]]) -> bytes:
    changed = bytearray(moov)
    whole = next(read_boxes(changed, 0, len(changed)))
    for table in _offset_tables(changed, whole, _TO_OFFSETS):
        wide = table.kind == b"co64"
        (count,) = _COUNT.unpack_from(changed, table.body)
        layout = struct.Struct(f">{count}{'Q' if wide else 'I'}")
        place = table.body + _COUNT.size
        if place + layout.size > table.end:
            raise Malformed("a table of offsets is cut off")
        offsets = [offset + _move_of(offset, moves) for offset in layout.unpack_from(changed, place)]
        if not wide and max(offsets, default=0) >= 2**32:
            raise Malformed("an offset does not fit its table")
        layout.pack_into(changed, place, *offsets)
    return bytes(changed)


def _offset_tables(data: bytearray, box: Box, path: Sequence[bytes]) -> Iterator[Box]:
    for child in read_boxes(data, box.body, box.end):
        if path and child.kind == path[0]:
            yield from _offset_tables(data, child, path[1:])
        elif not path and child.kind in {b"stco", b"co64"}:
            yield child


def _move_of(offset: int, moves: Sequence[tuple[range, int]]) -> int:
    return next((by for where, by in moves if offset in where), 0)


def _is_xmp(data: bytes | mmap, box: Box) -> bool:
    return box.kind == b"uuid" and data[box.body : box.body + len(_XMP_ID)] == _XMP_ID


def _box(kind: bytes, body: bytes) -> bytes:
    if len(body) + _SHORT.size >= 2**32:
        raise Malformed("a box is too long for its header")
    return _SHORT.pack(len(body) + _SHORT.size, kind) + body
