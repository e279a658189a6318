"""How a message looks in Redis: keys, channels, and what goes through them (pure).

A user's history, its keys of changes and the user's channel share a hash tag, so that they live on one
node of a cluster. A payload is one line of JSON, about the frame, and the frame.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.bus import Message, Position

EPOCH_DIGITS: Final = 18
_DICE_BITS: Final = 33
"""Ten digits at most; they hide nothing."""


class Header(NamedTuple):
    """What is known of a frame without reading it, on one line."""

    job_id: str | None
    key: str | None
    slot: str | None
    terminal: bool
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """What belongs to one user."""

    history: bytes
    keys: bytes
    channel: bytes

    @classmethod
    def of(cls, prefix: str, user_id: UserId) -> Names:
        tag = f"{prefix}:{{{user_id}}}:".encode("utf-8", "surrogatepass")
        return cls(tag + b"history", tag + b"keys", tag + b"events")


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Header).decode


def roll_dice() -> str:
    """Make the part of an epoch that tells users and incarnations of their histories apart."""
    return f"{random.getrandbits(_DICE_BITS):010d}"


def encode_header(message: Message) -> bytes:
    """Write the line that goes before the frame."""
    header = (message.job_id, message.key, message.slot, message.terminal)
    return _encode(header if message.trace is None else (*header, message.trace))


def decode_payload(user_id: UserId, payload: bytes) -> Message:
    """Read what a channel carried; `ValueError` where another program wrote it."""
    line, _, frame = payload.partition(b"\n")
    try:
        header = _decode(line)
    except msgspec.DecodeError as error:
        raise ValueError("A payload without its header.") from error
    position = None if header.key is None else _read_position(frame)
    return _message(user_id, header, frame, position)


def decode_entry(user_id: UserId, position: Position, fields: Sequence[bytes]) -> Message:
    """Read an entry of a history, of which `position` is the place."""
    _, line, _, frame = fields
    return _message(user_id, _decode(line), frame, None).at(position)


def split_position(since: str) -> tuple[str, str] | None:
    """Return the epoch and number of a position that a server of ours may have given, else None."""
    position = Position.parse(since)
    if position is None or len(position.epoch) != EPOCH_DIGITS or not position.offset.isdecimal():
        return None
    return position.epoch, position.offset


def _read_position(frame: bytes) -> Position:
    # Not `Position.parse`: only the script writes here, and this is asked of every change of state.
    field, _, place = frame[: frame.index(b"\n")].decode("ascii").partition(" ")
    epoch, _, number = place.partition(":")
    if field != "id:" or not number.isdecimal():
        raise ValueError("A frame without a position.")
    return Position(epoch, number)


def _message(user_id: UserId, header: Header, frame: bytes, position: Position | None) -> Message:
    job_id = None if header.job_id is None else JobId(header.job_id)
    return Message(user_id, job_id, frame, *header[1:4], position, header.trace)
