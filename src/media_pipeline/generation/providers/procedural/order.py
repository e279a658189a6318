"""What a renderer is ordered to draw."""

from __future__ import annotations

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Make this; `frames` 0 is a picture."""

    prompt: str
    seed: int
    width: int
    height: int
    frames: int = 0
    fps: int = 24
