"""What the service and a child process say to each other: length-prefixed MessagePack.

An order goes down, messages come up, and an empty frame says that the order is done.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

PREFIX: Final = struct.Struct(">I")
DONE: Final = PREFIX.pack(0)

_encoder: Final = msgspec.msgpack.Encoder()


def pack(message: msgspec.Struct) -> bytes:
    """Encode with the length in front."""
    body = _encoder.encode(message)
    return PREFIX.pack(len(body)) + body
