"""Secrets that the program makes itself: once, kept in a file that its user alone can read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import Final

from media_pipeline.settings import Settings, state_folder

FILE: Final = "development-secret"


def development_secret() -> str:
    """Return the secret of development tokens, the same for every command of this user."""
    return kept_secret(state_folder() / FILE)


def kept_secret(path: Path) -> str:
    """Return the secret in the file at `path`, the same for every process that can read it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        _create(path, secrets.token_urlsafe(48))
    return path.read_text("ascii").strip()


def token_secret(settings: Settings) -> str:
    """Return the secret that signs Bearer tokens: the configured one, else the development secret."""
    configured = settings.auth_jwt_secret
    return configured.get_secret_value() if configured else development_secret()


def derive_secret(secret: str, purpose: str) -> bytes:
    """Return a key for one purpose, so that no two uses share one."""
    return hashlib.blake2b(purpose.encode(), key=secret.encode()[:64], digest_size=32).digest()


def _create(path: Path, text: str) -> None:
    """Write whole or not at all: another process may read at any moment."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()
