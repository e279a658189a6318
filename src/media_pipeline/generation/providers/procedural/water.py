"""Still water: the picture above it, upside down, broken by ripples; and boats on it."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from media_pipeline.generation.providers.procedural.canvas import lay, shine
from media_pipeline.generation.providers.procedural.noise import Plane, Planes, grid, sample
from media_pipeline.generation.providers.procedural.palette import Colour
from media_pipeline.generation.providers.procedural.theme import Theme

_HULL = [(0.08, 0.80), (0.92, 0.80), (0.80, 0.93), (0.20, 0.93)]
_SAILS = [[(0.50, 0.06), (0.50, 0.74), (0.86, 0.74)], [(0.46, 0.16), (0.46, 0.74), (0.18, 0.74)]]


def reflect(canvas: Planes, shore: int, theme: Theme, tile: Plane, *, sun: float, phase: float) -> None:
    """Fill the rows below `shore` from those above it."""
    height, width = canvas.shape[1:]
    x, below = grid(width, height - shore, unit=1.0)
    nearness = (below + 1) / np.float32(height - shore)
    ripple = _ripples(tile, x / max(width, height), nearness, phase=phase)
    source_row = shore - 1 - below * (shore / (height - shore)) * 0.9 - ripple * nearness * height * 0.028
    source_column = x + ripple * (0.5 + nearness) * width * 0.006
    rows = np.clip(source_row, 0, shore - 1).astype(np.int32)
    columns = np.clip(source_column, 0, width - 1).astype(np.int32)
    mirrored = canvas[:, rows, columns]
    deep = theme.ground.shade(0.16)[:, None, None]
    canvas[:, shore:] = mirrored * 0.8 + (deep - mirrored * 0.8) * (0.18 + 0.42 * nearness)
    away = np.abs(x - np.float32(sun)) / (width * (0.035 + 0.10 * nearness))
    glitter = np.exp(-away * away) * np.clip(ripple * 1.3 - 0.1, 0, 1) * (0.75 - 0.35 * nearness)
    shine(canvas[:, shore:], theme.sky.shade(0.95), glitter.astype(np.float32))
    shine(canvas[:, shore:], theme.sky.shade(0.8), np.exp(-below / (height * 0.012)) * np.float32(0.16))


def sail(canvas: Planes, theme: Theme, *, place: tuple[float, float], size: float, tilt: float) -> None:
    """Draw a boat with its foot at `place` (column, row), `size` pixels high, and its reflection."""
    side = max(6, round(size))
    hull, cloth = _silhouette(side, tilt)
    left, top = round(place[0] - side / 2), round(place[1] - side * 0.93)
    dark, bright = theme.ground.shade(0.02), theme.sky.shade(0.9)
    _stamp(canvas, dark, hull, left, top)
    _stamp(canvas, bright * 0.9, cloth, left, top)
    foot = top + round(side * 0.93)
    fade = np.linspace(0.42, 0.05, side, dtype=np.float32)[:, None]
    _stamp(canvas, dark, hull[::-1] * fade, left, foot - round(side * 0.07))
    _stamp(canvas, bright * 0.9, cloth[::-1] * fade, left, foot - round(side * 0.07))


def _ripples(tile: Plane, x: Plane, nearness: Plane, *, phase: float) -> Plane:
    turn = 2 * math.pi * phase
    far = np.float32(0.9) / (nearness + np.float32(0.12))
    dx, dy = np.float32(0.03 * math.cos(turn)), np.float32(0.03 * math.sin(turn))
    wide = sample(tile, x * (0.5 * far + 0.3) + dx, far * 1.6 + dy)
    return wide * 0.6 + sample(tile, x * (1.3 * far) - dx, far * 4.3 + np.float32(0.4) - dy) * 0.5


def _silhouette(side: int, tilt: float) -> tuple[Plane, Plane]:
    hull, cloth = Image.new("L", (side * 4, side * 4)), Image.new("L", (side * 4, side * 4))
    pen = ImageDraw.Draw(hull)
    pen.polygon([(x * side * 4, y * side * 4) for x, y in _HULL], fill=255)
    pen.line([(side * 1.93, side * 0.2), (side * 1.93, side * 3.3)], fill=255, width=max(2, side // 10))
    for shape in _SAILS:
        ImageDraw.Draw(cloth).polygon([(x * side * 4, y * side * 4) for x, y in shape], fill=235)
    return _small(hull, side, tilt), _small(cloth, side, tilt)


def _small(drawing: Image.Image, side: int, tilt: float) -> Plane:
    turned = drawing.rotate(tilt, Image.Resampling.BILINEAR, center=(side * 2, side * 3.5))
    return np.asarray(turned.resize((side, side), Image.Resampling.LANCZOS), np.float32) / np.float32(255)


def _stamp(canvas: Planes, colour: Colour, mask: Plane, left: int, top: int) -> None:
    height, width = canvas.shape[1:]
    x0, x1 = max(0, left), min(width, left + mask.shape[1])
    y0, y1 = max(0, top), min(height, top + mask.shape[0])
    if x0 < x1 and y0 < y1:
        lay(canvas[:, y0:y1, x0:x1], colour, mask[y0 - top : y1 - top, x0 - left : x1 - left])
