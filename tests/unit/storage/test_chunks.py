from __future__ import annotations

from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from media_pipeline.storage.chunks import as_pieces


@given(chunks=st.lists(st.binary(max_size=30), max_size=12), size=st.integers(1, 16), whole=st.booleans())
async def test_pieces_are_the_same_bytes_in_equal_parts(chunks: list[bytes], size: int, whole: bool) -> None:
    """Whatever chunks come, pieces have exactly the size asked for, but for the last, and nothing is lost."""

    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    data = b"".join(chunks)
    pieces = [piece async for piece in as_pieces(data if whole else stream(), size)]
    assert b"".join(pieces) == data
    assert all(len(piece) == size for piece in pieces[:-1])
    assert all(len(piece) <= size for piece in pieces)
