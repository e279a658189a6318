"""The server's side of a WebSocket (RFC 6455), as much as a fake needs: whole messages, ping and close."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import Mapping
from typing import Final

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Socket:
    """One connection after its handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def accept(self, headers: Mapping[str, str]) -> None:
        """Answer the handshake."""
        digest = hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest()
        lines = (
            b"HTTP/1.1 101 Switching Protocols",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest),
        )
        self._writer.write(b"\r\n".join((*lines, b"", b"")))
        await self._writer.drain()

    def send(self, data: str | bytes) -> None:
        """Send one message; nothing where the other side is gone."""
        if not self._writer.is_closing():
            kind, body = (TEXT, data.encode()) if isinstance(data, str) else (BINARY, data)
            self._frame(kind, body)

    def drop(self) -> None:
        """Reset the connection."""
        self._writer.transport.abort()

    async def receive(self) -> bytes | None:
        """Return the next message; None when the other side closes."""
        while True:
            head = await self._reader.readexactly(2)
            kind, size = head[0] & 15, head[1] & 127
            if size > 125:
                wide = 2 if size == 126 else 8
                size = int.from_bytes(await self._reader.readexactly(wide))
            mask = await self._reader.readexactly(4)
            masked = await self._reader.readexactly(size)
            body = bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))
            if kind in {TEXT, BINARY}:
                return body
            if kind == PING:
                self._frame(PONG, body)
            if kind == CLOSE:
                self._frame(CLOSE, body)
                return None

    def _frame(self, kind: int, body: bytes) -> None:
        size = len(body)
        length = bytes([size]) if size < 126 else struct.pack(">BH", 126, size)
        if size >= 2**16:
            length = struct.pack(">BQ", 127, size)
        self._writer.write(bytes([0x80 | kind]) + length + body)
