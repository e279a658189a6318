"""Masks for editing: white, or what is transparent, is to be painted anew."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from media_pipeline.generation.provider import ErrorCode, ProviderError


def with_alpha(mask: bytes, *, over: bytes) -> bytes:
    """Return `mask` as a PNG of the size of `over`, transparent where it is to be painted; blocks.

    A mask that has an alpha channel keeps it; one in grey or colour is transparent where it is white.
    Raises `ProviderError(INVALID_REQUEST)` for what is no picture.
    """
    try:
        with Image.open(io.BytesIO(mask)) as drawn, Image.open(io.BytesIO(over)) as whole:
            size = ImageOps.exif_transpose(whole).size
            grey = drawn.getchannel("A") if "A" in drawn.getbands() else ImageOps.invert(drawn.convert("L"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ProviderError(
            ErrorCode.INVALID_REQUEST, "The mask or its image cannot be read.", provider="any"
        ) from error
    alpha = grey if grey.size == size else grey.resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    Image.merge("LA", (Image.new("L", size), alpha)).convert("RGBA").save(out, "PNG")
    return out.getvalue()
