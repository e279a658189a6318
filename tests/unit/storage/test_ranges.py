from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_pipeline.storage.ranges import ByteRange, Extent, is_unchanged, may_use_range, parse_range


@pytest.mark.parametrize(
    ("header", "extent"),
    [
        (None, "whole"),
        ("", "whole"),
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=0-", ByteRange(0, 10)),
        ("bytes=3-6", ByteRange(3, 7)),
        ("bytes=3-99", ByteRange(3, 10)),
        ("bytes=0-18446744073709551615", ByteRange(0, 10)),
        ("BYTES= 3-6 ", ByteRange(3, 7)),
        ("bytes=-3", ByteRange(7, 10)),
        ("bytes=-99", ByteRange(0, 10)),
        ("bytes=10-", "unsatisfiable"),
        ("bytes=10-20", "unsatisfiable"),
        ("bytes=-0", "unsatisfiable"),
        ("bytes=6-3", "whole"),
        ("bytes=-", "whole"),
        ("bytes=a-b", "whole"),
        ("bytes=1.0-2", "whole"),
        ("bytes=+1-2", "whole"),
        ("bytes=\u0661-\u0662", "whole"),
        ("bytes=0-1,3-4", "whole"),
        ("items=0-1", "whole"),
        ("bytes 0-1", "whole"),
        ("bytes=0-1\n", "whole"),
        ("bytes=" + "1" * 5000 + "-", "whole"),
    ],
)
def test_a_range_of_ten_bytes(header: str | None, extent: Extent) -> None:
    """Each form of the header means what RFC 9110 says."""
    assert parse_range(header, 10) == extent


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=5-"])
def test_an_empty_object_is_always_whole(header: str) -> None:
    """No part of nothing can be described, so the range is ignored."""
    assert parse_range(header, 0) == "whole"


@given(st.text(max_size=60), st.integers(0, 10**12))
def test_no_header_breaks_the_parser(header: str, size: int) -> None:
    """Any text gives an extent within the object, and no error."""
    for text in (header, f"bytes={header}"):
        extent = parse_range(text, size)
        assert isinstance(extent, str) or 0 <= extent.start < extent.end <= size


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50))
def test_a_range_is_the_slice_it_names(first: int, last: int, size: int) -> None:
    """First and last byte are both included; past the end there is nothing."""
    body = bytes(range(size))
    extent = parse_range(f"bytes={first}-{last}", size)
    if isinstance(extent, ByteRange):
        assert body[extent.start : extent.end] == body[first : last + 1]
    else:
        assert extent == ("whole" if last < first else "unsatisfiable")
        assert last < first or first >= size


@pytest.mark.parametrize(
    ("header", "unchanged"),
    [
        (None, False),
        ('"v1"', True),
        ('W/"v1"', True),
        ('"v0", "v1"', True),
        ("*", True),
        ('"v2"', False),
        ("v1", False),
        ("", False),
    ],
)
def test_a_known_tag_is_unchanged(header: str | None, *, unchanged: bool) -> None:
    """If-None-Match compares weakly, tag by tag."""
    assert is_unchanged(header, '"v1"') is unchanged


@pytest.mark.parametrize(
    ("header", "usable"),
    [
        (None, True),
        ('"v1"', True),
        ('W/"v1"', False),
        ('"v2"', False),
        ("Sun, 22 Nov 2026 12:00:00 GMT", False),
    ],
)
def test_a_range_continues_only_the_same_version(header: str | None, *, usable: bool) -> None:
    """If-Range compares strongly, and a date never matches."""
    assert may_use_range(header, '"v1"') is usable
