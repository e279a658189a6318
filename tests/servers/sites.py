"""Small web servers that say what a test tells them, and remember who came."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Reply = Callable[[asyncio.StreamWriter, "Visit"], Awaitable[None]]


@dataclass(frozen=True)
class Visit:
    """One request: its path and its header lines by lower-case name."""

    path: str
    headers: dict[str, str]


@dataclass
class Site:
    """A server on `host`; `replies` by path, `visits` in order, `touched` counts connections."""

    host: str
    port: int = 0
    replies: dict[str, Reply] = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)
    touched: int = 0

    def url(self, path: str, *, name: str | None = None, scheme: str = "http") -> str:
        host = name or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"{scheme}://{host}:{self.port}{path}"

    def serve(self, path: str, body: bytes, *lines: str, status: str = "200 OK") -> None:
        """Answer `path` with `body` and these header lines."""
        head = [f"HTTP/1.1 {status}", "Connection: close", *lines]
        if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
            head.append(f"Content-Length: {len(body)}")
        raw = "\r\n".join([*head, "", ""]).encode() + body

        async def reply(writer: asyncio.StreamWriter, _: Visit) -> None:
            writer.write(raw)
            await writer.drain()

        self.replies[path] = reply

    def redirect(self, path: str, to: str, *, status: str = "302 Found") -> None:
        self.serve(path, b"", f"Location: {to}", status=status)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.touched += 1
        try:
            request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            pairs = (line.partition(":") for line in lines if line)
            visit = Visit(request.split()[1], {name.lower(): value.strip() for name, _, value in pairs})
            self.visits.append(visit)
            await self.replies[visit.path](writer, visit)
        except (KeyError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def site(host: str, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Site, None]:
    """Run a server on a free port of `host`."""
    served = Site(host)
    server = await asyncio.start_server(served._answer, host, 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
