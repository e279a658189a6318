"""Google's token endpoint for service accounts, and the file of credentials that leads to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.web import Answer, Request, Web, as_json

TOKEN: Final = "ya29.test-token"


class TokenServer(Web):
    """Gives a token for an assertion (RFC 7523)."""

    def place(self, request: Request) -> str:
        return "token"

    def answer(self, request: Request) -> Answer:
        assert b"assertion=" in request.body
        return as_json({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

    def write_account(self, file: Path) -> Path:
        """Write a service account whose tokens come from here, in Google's form; return the file."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        account = {
            "type": "service_account",
            "client_email": "studio@example.test",
            "private_key": key.private_bytes(serialization.Encoding.PEM, *form).decode(),
            "project_id": "studio",
            "token_uri": f"{self.url}/token",
        }
        file.write_text(json.dumps(account))
        return file
