"""What array texts promise."""

from __future__ import annotations

import functools

import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st

from media_pipeline.db.arrays import write_array
from tests.servers.postgres import shared_server

TEXTS = st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
NUMBERS = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1))


@functools.cache
def database() -> str:
    return shared_server().create_database("arrays")


@settings(max_examples=50)
@given(
    texts=TEXTS, numbers=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)), flags=st.lists(st.booleans())
)
def test_arrays_come_back_as_they_went(
    texts: list[str | None], numbers: list[int | None], flags: list[bool]
) -> None:
    """A server reads every text, number, truth and NULL as it was written, whatever signs it holds."""
    with psycopg.connect(database()) as conn:
        row = conn.execute(
            "SELECT %s::TEXT[], %s::INT8[], %s::BOOL[]",
            [write_array(texts), write_array(numbers), write_array(flags)],
        ).fetchone()
    assert row == (texts, numbers, flags)
