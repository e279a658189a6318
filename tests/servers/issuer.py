"""An issuer of tokens: a key set at an address, and tokens signed by hand with the keys of it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public_entry(key: Private, key_id: str | None) -> dict[str, str]:
    """Write the public half of a key as RFC 7518, section 6, says."""
    named = {} if key_id is None else {"kid": key_id}
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        size = (key.key_size + 7) // 8
        return {
            "kty": "RSA",
            "n": coded(numbers.n.to_bytes(size)),
            "e": coded(numbers.e.to_bytes(3)),
            **named,
        }
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point, size = key.public_key().public_numbers(), (key.key_size + 7) // 8
        curve = {256: "P-256", 384: "P-384"}[key.key_size]
        sides = {"x": coded(point.x.to_bytes(size)), "y": coded(point.y.to_bytes(size))}
        return {"kty": "EC", "crv": curve, **sides, **named}
    return {"kty": "OKP", "crv": "Ed25519", "x": coded(key.public_key().public_bytes_raw()), **named}


def sign(key: Private, claims: Mapping[str, Any], **head: Any) -> str:
    """Return a token; `head` may lie about anything."""
    message = f"{coded(json.dumps(head).encode())}.{coded(json.dumps(claims).encode())}".encode()
    return f"{message.decode()}.{coded(_signature(key, message))}"


def _signature(key: Private, message: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(size) + s.to_bytes(size)
    return key.sign(message)


@dataclass
class Issuer:
    """What the address answers; `asked` counts."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    asked: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def show(self, *entries: Mapping[str, str]) -> None:
        """Publish these keys."""
        self.body = json.dumps({"keys": entries}).encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        writer.write(
            f"HTTP/1.1 {self.status} Whatever\r\nContent-Length: {len(self.body)}\r\n"
            f"Connection: close\r\n{head}\r\n".encode()
            + self.body
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    """Run an issuer on a free port."""
    issuer = Issuer()
    server = await asyncio.start_server(issuer.answer, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    async with server:
        yield issuer
