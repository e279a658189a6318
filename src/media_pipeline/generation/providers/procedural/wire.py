"""What the service and a renderer process say to each other: length-prefixed MessagePack."""

from __future__ import annotations

import struct
from typing import Final

import msgspec

PREFIX: Final = struct.Struct(">I")


class Order(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Make this; `frames` 0 is a picture."""

    prompt: str
    seed: int
    width: int
    height: int
    frames: int = 0
    fps: int = 24


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

_orders = msgspec.msgpack.Decoder(Order)
_messages = msgspec.msgpack.Decoder(Message)


def pack(message: Order | Message) -> bytes:
    """Encode with the length in front."""
    body = msgspec.msgpack.encode(message)
    return PREFIX.pack(len(body)) + body


def unpack_order(body: bytes) -> Order:
    """Decode what stood behind the length."""
    return _orders.decode(body)


def unpack_message(body: bytes) -> Message:
    """Decode what stood behind the length."""
    message: Message = _messages.decode(body)
    return message
