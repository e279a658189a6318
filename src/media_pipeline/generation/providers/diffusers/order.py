"""What a child process is ordered to make."""

from __future__ import annotations

from typing import Any

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Make this with the pipeline `source`; `fps` 0 is a picture. `fixed` goes to the pipeline as it is."""

    source: str
    prompt: str
    seed: int
    width: int
    height: int
    steps: int
    negative_prompt: str | None = None
    frames: int = 0
    fps: int = 0
    fixed: dict[str, Any] = {}
