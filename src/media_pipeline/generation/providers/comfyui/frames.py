"""What ComfyUI says on its WebSocket, decoded; pure.

Texts are `{"type", "data"}`; binary messages begin with their type as a big-endian number: 1 is a preview (1
for JPEG or 2 for PNG, then the picture), 4 a preview with metadata (the length of its JSON, the JSON, the
picture). Source: ComfyUI's server.py (`send_image`, `send_image_with_metadata`) and protocol.py.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import msgspec

_NUMBER: Final = struct.Struct(">I")
_HEAD: Final = struct.Struct(">II")
_BARE, _WITH_METADATA = 1, 4
_KINDS: Final = {1: "image/jpeg", 2: "image/png"}


@dataclass(frozen=True, slots=True)
class Told:
    """One text message."""

    kind: str
    data: dict[str, Any]

    def of(self, prompt_id: str) -> bool:
        """Tell whether it is about this prompt."""
        return self.data.get("prompt_id") == prompt_id


@dataclass(frozen=True, slots=True)
class Shown:
    """A partial picture; a bare one does not say of which prompt."""

    picture: bytes
    content_type: str
    prompt_id: str | None = None


def read_frame(message: str | bytes) -> Told | Shown | None:
    """Decode a message; None for one that is malformed or of a kind that nobody here needs."""
    try:
        return _told(message) if isinstance(message, str) else _shown(message)
    except (msgspec.MsgspecError, struct.error, UnicodeDecodeError):
        return None


def _told(message: str) -> Told | None:
    match msgspec.json.decode(message):
        case {"type": str(kind), "data": dict(data)}:
            return Told(kind, data)
        case _:
            return None


def _shown(message: bytes) -> Shown | None:
    (kind,) = _NUMBER.unpack_from(message)
    if kind == _BARE:
        _, image_kind = _HEAD.unpack_from(message)
        content_type = _KINDS.get(image_kind)
        return Shown(message[_HEAD.size :], content_type) if content_type else None
    if kind != _WITH_METADATA:
        return None
    _, length = _HEAD.unpack_from(message)
    facts = msgspec.json.decode(message[_HEAD.size : _HEAD.size + length], type=dict[str, Any])
    picture = message[_HEAD.size + length :]
    return Shown(picture, str(facts.get("image_type", "image/jpeg")), facts.get("prompt_id"))
