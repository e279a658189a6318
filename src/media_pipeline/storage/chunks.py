"""Bytes in pieces of bounded size, and the arithmetic of ranges."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

CHUNK_BYTES: Final = 256 * 1024


async def as_chunks(data: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield `data` piece by piece, whichever of the two it is."""
    if not isinstance(data, bytes):
        async for chunk in data:
            yield chunk
        return
    for place in range(0, len(data), CHUNK_BYTES):
        yield data[place : place + CHUNK_BYTES]


def window(start: int, end: int | None, size: int) -> tuple[int, int]:
    """Return what a range means for `size` bytes: `first <= last`, both within."""
    first = min(max(start, 0), size)
    last = size if end is None else min(end, size)
    return first, max(first, last)


async def as_pieces(data: bytes | AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """Yield `data` in pieces of exactly `size` bytes, the last one shorter or as long."""
    if isinstance(data, bytes) and len(data) <= size:
        yield data
        return
    held: list[bytes] = []
    length = 0
    async for chunk in as_chunks(data):
        held.append(chunk)
        length += len(chunk)
        while length >= size:
            surplus = length - size
            rest = held[-1][len(held[-1]) - surplus :]
            held[-1] = held[-1][: len(held[-1]) - surplus]
            yield b"".join(held)
            held, length = [rest] if rest else [], surplus
    if held:
        yield b"".join(held)


async def rejoin(first: bytes, second: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces that were looked at beforehand, and then the rest."""
    yield first
    yield second
    async for piece in rest:
        yield piece
