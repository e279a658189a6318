"""The WebSocket of one prompt: it is opened before the prompt is sent, so that nothing is missed.

A feed is a convenience. Where it cannot be had, or breaks, whoever reads it asks for the history instead.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from media_pipeline.generation.providers.comfyui.frames import Shown, Told, read_frame

OPEN_SECONDS: Final = 10.0
SILENCE: Final = 30.0
"""After so many silent seconds the reader looks whether the prompt is still there."""
MAX_MESSAGE: Final = 32 * 1024**2
_HELLO: Final = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
_FAULTS: Final = (OSError, WebSocketException, TimeoutError)


class Feed:
    """An open WebSocket of a client."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, base_url: str, client: str, headers: Mapping[str, str]) -> Feed | None:
        """Connect as `client`; None where that is not possible."""
        address = f"ws{base_url.removeprefix('http')}/ws?clientId={client}"
        try:
            socket = await connect(
                address, additional_headers=headers, open_timeout=OPEN_SECONDS, max_size=MAX_MESSAGE
            )
            await socket.send(_HELLO)
        except _FAULTS:
            return None
        return cls(socket)

    async def messages(self) -> AsyncGenerator[Told | Shown, None]:
        """Yield what is said until the socket breaks or is silent for long."""
        try:
            while True:
                async with asyncio.timeout(SILENCE):
                    message = await self._socket.recv()
                if (frame := read_frame(message)) is not None:
                    yield frame
        except _FAULTS:
            return

    async def aclose(self) -> None:
        """Close it; never raises."""
        self._socket.transport.abort()
        await self._socket.wait_closed()
