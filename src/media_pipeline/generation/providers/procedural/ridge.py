"""One range of a landscape: where its edge runs and how light lies on its slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from media_pipeline.generation.providers.procedural.canvas import lay
from media_pipeline.generation.providers.procedural.noise import Plane, Planes, sample
from media_pipeline.generation.providers.procedural.palette import Colour
from media_pipeline.generation.providers.procedural.theme import Motif

_WINDOW: Final = np.array([1.0, 0.83, 0.5], np.float32)
_FRAME, _DARK = 0.42, 0.72
"""The share of a window's cell that is wall; the share of windows without a lamp."""
_SPIRE, _TALL = 0.03, 1.3
"""Half the width of a spire (of its tower's) and how high a tower must be to carry one."""
_BARE = 0.04
"""The share of a pine that has no branches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """A range with its edge `top` (rows, a value a column) and its colours."""

    top: Plane
    light: Plane
    """-1..1 a column: how far the slope faces the sun."""
    crest: Colour
    mist: Colour
    fade: float
    """Rows until the mist is full."""
    contrast: float
    cap: float = 0.0
    """Rows of snow below the edge."""
    window: float = 0.0
    """The side of a lit window in pixels; 0 for none."""


def paint(canvas: Planes, ridge: Ridge, lamps: Plane) -> None:
    """Cover everything below the edge; `lamps` is random and says which windows are lit."""
    height = canvas.shape[1]
    first = max(0, int(ridge.top.min()) - 1)
    if first >= height:
        return
    depth = np.arange(first, height, dtype=np.float32)[:, None] - ridge.top[None, :]
    inside = np.clip(depth + 0.5, 0, 1)
    haze = np.clip(depth / ridge.fade, 0, 1) * np.float32(0.85)
    colour = ridge.crest[:, None, None] + (ridge.mist - ridge.crest)[:, None, None] * haze
    colour *= 1 + np.float32(ridge.contrast) * _relief(depth, ridge)
    if ridge.cap:
        bare = ridge.cap * (1 + 0.9 * ridge.light)
        lay(
            colour,
            np.minimum(ridge.mist * 0.5 + 0.62, 1),
            np.clip(1 - depth / np.maximum(bare, 1), 0, 1) ** 0.6,
        )
    if ridge.window:
        lay(colour, _WINDOW, _windows(depth, ridge.window, lamps))
    lay(canvas[:, first:], colour, inside)


def profile(motif: Motif, tile: Plane, soft: Plane, x: Plane, *, near: float, row: float) -> Plane:
    """Return the heights (of the picture's height) of a range at `x`; `near` runs 0 (far) to 1."""
    line = np.full_like(x, row)
    if motif is Motif.DUNES:
        fold = sample(soft, x * (0.2 + 0.22 * near), line)
        return np.asarray((1 - np.abs(fold)) * (0.09 + 0.11 * near), np.float32)
    if motif is Motif.CITY:
        return _skyline(tile, x, line, near=near)
    if motif is Motif.FOREST:
        hill = sample(soft, x * 0.5, line) * (0.05 + 0.03 * near)
        return np.asarray(hill + _pines(tile, x, line, near=near), np.float32)
    zoom = 0.3 + 0.8 * near
    body = sample(tile, x * zoom, line) * np.float32(0.05 + 0.07 * near)
    rocks = np.abs(sample(tile, x * zoom * 2.3 + 0.5, line + 0.31))
    return np.asarray(body + rocks * 0.035, np.float32)


def _pines(tile: Plane, x: Plane, line: Plane, *, near: float) -> Plane:
    pitch = np.float32(0.012 + 0.042 * near**1.5)
    best = np.zeros_like(x)
    for shift in (0.0, 0.37, 0.71):  # three rows of trees, so that no regular comb appears
        cell = np.floor(x / pitch + shift)
        whim = sample(tile, cell * 0.173, line + shift) * 0.28
        place = (x / pitch + shift - cell - 0.5) * 2 + whim * 0.5
        cone = np.clip(1 - np.abs(place) * 1.25, 0, 1)
        tiers = cone * 0.86 + np.float32(0.16 * near) * (cone * 6 % 1) * (cone > _BARE)
        best = np.maximum(best, tiers * np.clip(1 + whim * 1.6, 0.35, 1.7))
    return (best * pitch * 2.1).astype(np.float32)


def _skyline(tile: Plane, x: Plane, line: Plane, *, near: float) -> Plane:
    pitch = np.float32(0.02 + 0.03 * near)
    cell = np.floor(x / pitch)
    tower = np.abs(sample(tile, cell * 0.377, line))
    spire = (np.abs((x / pitch - cell) - 0.5) < _SPIRE) & (tower > _TALL)
    return np.asarray(0.04 + 0.12 * tower * (1.1 - 0.4 * near) + 0.045 * spire, np.float32)


def _relief(depth: Plane, ridge: Ridge) -> Plane:
    """The light of the edge above, read along a slanting line: faces, spurs and gullies."""
    width = len(ridge.light)
    column = np.arange(width, dtype=np.float32)[None, :] + depth * np.float32(0.55)
    faded = np.exp(-np.clip(depth, 0, None) / np.float32(ridge.fade * 1.4))
    return np.asarray(ridge.light[np.clip(column, 0, width - 1).astype(np.int32)] * faded, np.float32)


def _windows(depth: Plane, side: float, lamps: Plane) -> Plane:
    column = np.arange(depth.shape[1], dtype=np.float32)[None, :] / np.float32(side)
    row = depth / np.float32(side * 1.3)
    across, down = column.astype(np.int32), np.clip(row, 0, None).astype(np.int32)
    pane = (column - across > _FRAME) & (row - down > _FRAME) & (row > 1)
    lit = lamps[down % lamps.shape[0], across % lamps.shape[1]] > _DARK
    return np.asarray((pane & lit) * 0.85, np.float32)
