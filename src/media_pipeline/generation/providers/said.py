"""What a child process that makes media says of its work."""

from __future__ import annotations

import msgspec


class Step(msgspec.Struct, frozen=True, tag=True):
    """`done` of `total` steps or frames exist."""

    done: int
    total: int


class Partial(msgspec.Struct, frozen=True, tag=True):
    """The picture as it is now, a small WebP."""

    data: bytes


class Finished(msgspec.Struct, frozen=True, tag=True):
    """The file that was ordered."""

    data: bytes


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The order cannot be met; `reason` is one sentence."""

    reason: str


Message = Step | Partial | Finished | Failed
