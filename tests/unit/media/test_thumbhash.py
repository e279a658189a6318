"""The placeholder is the one that the published decoder reads."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from media_pipeline.media.workshop.thumbhash import thumbhash


def waves(width: int, height: int, *, veiled: bool) -> Image.Image:
    """Return a picture of waves, with a veil from left to right if it is to be transparent."""
    y, x = np.mgrid[0:height, 0:width]
    veil = 255 - x * 255 // width if veiled else np.full_like(x, 255)
    red, green = 127 + 120 * np.sin(x / 7), 127 + 120 * np.cos(y / 5 + x / 9)
    return Image.fromarray(np.stack([red, green, (x * 3 + y * 2) % 256, veil], -1).astype(np.uint8))


@pytest.mark.parametrize(
    ("width", "height", "veiled", "known"),
    [
        (60, 40, False, "61280a4d94f35477758688589a87a987df7ba88f79"),
        (40, 60, False, "5f0806651c3e727089887738c6f6a9786f7bf88578"),
        (64, 16, True, "9c5986218e38b11b97cfa9fd99d87f767f788888878878"),
    ],
)
def test_a_hash_is_that_of_the_reference(width: int, height: int, known: str, *, veiled: bool) -> None:
    """Landscape, portrait and transparency hash byte for byte as the npm package thumbhash 0.1.1 does."""
    assert thumbhash(waves(width, height, veiled=veiled)).hex() == known


def test_a_large_picture_has_none() -> None:
    """A hash is made of a small picture; a large one is a mistake of the caller."""
    with pytest.raises(ValueError, match="100 pixels"):
        thumbhash(Image.new("RGB", (101, 10)))


def test_nothing_to_see_has_a_hash() -> None:
    """A picture that is transparent throughout does not divide by nothing."""
    assert len(thumbhash(Image.new("RGBA", (10, 10)))) > 5
