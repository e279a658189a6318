"""ThumbHash: a picture in about 25 bytes, to show before it is loaded (github.com/evanw/thumbhash)."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float64]
MAX_SIDE: Final = 100


def thumbhash(picture: Image.Image) -> bytes:
    """Return the hash of a picture of at most 100 pixels a side."""
    width, height = picture.size
    if max(width, height) > MAX_SIDE:
        raise ValueError(f"a ThumbHash is made of {MAX_SIDE} pixels a side at most")
    rgba = np.asarray(picture.convert("RGBA"), np.float64) / 255
    alpha = rgba[..., 3]
    solid = float(alpha.sum())
    mean = (rgba[..., :3] * alpha[..., None]).sum((0, 1)) / solid if solid else np.zeros(3)
    red, green, blue = np.moveaxis(mean * (1 - alpha[..., None]) + rgba[..., :3] * alpha[..., None], -1, 0)
    transparent = solid < width * height
    limit = 5 if transparent else 7
    lx, ly = (max(1, _round(limit * side / max(width, height))) for side in (width, height))
    light = _encode((red + green + blue) / 3, max(3, lx), max(3, ly))
    yellow, warm = _encode((red + green) / 2 - blue, 3, 3), _encode(red - green, 3, 3)
    landscape = width > height
    header = (
        _round(63 * light[0])
        | _round(31.5 + 31.5 * yellow[0]) << 6
        | _round(31.5 + 31.5 * warm[0]) << 12
        | _round(31 * light[2]) << 18
        | transparent << 23
    )
    shape = (
        (ly if landscape else lx) | _round(63 * yellow[2]) << 3 | _round(63 * warm[2]) << 9 | landscape << 15
    )
    head = header.to_bytes(3, "little") + shape.to_bytes(2, "little")
    waves = [*light[1], *yellow[1], *warm[1]]
    if transparent:
        veil = _encode(alpha, 5, 5)
        head += bytes([_round(15 * veil[0]) | _round(15 * veil[2]) << 4])
        waves += veil[1]
    return head + _nibbles(waves)


def _encode(channel: Plane, nx: int, ny: int) -> tuple[float, list[float], float]:
    """Return the mean of a channel, its lowest waves as 0..1, and their scale."""
    height, width = channel.shape
    across = np.cos(np.pi / width * np.outer(np.arange(nx), np.arange(width) + 0.5))
    down = np.cos(np.pi / height * np.outer(np.arange(ny), np.arange(height) + 0.5))
    found = down @ channel @ across.T / (width * height)
    places = [(cy, cx) for cy in range(ny) for cx in range(nx) if cx * ny < nx * (ny - cy)]
    waves = [float(found[place]) for place in places[1:]]
    scale = max((abs(wave) for wave in waves), default=0.0)
    return float(found[0, 0]), [0.5 + 0.5 / scale * wave if scale else wave for wave in waves], scale


def _nibbles(waves: list[float]) -> bytes:
    levels = [_round(15 * wave) for wave in waves]
    levels += [0] * (len(levels) % 2)
    return bytes(low | high << 4 for low, high in zip(levels[::2], levels[1::2], strict=True))


def _round(value: float) -> int:
    return math.floor(value + 0.5)
