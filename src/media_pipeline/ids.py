"""The identities that rooms hand to each other."""

from __future__ import annotations

from typing import NewType

JobId = NewType("JobId", str)
"""A random UUID in its canonical text form; made by the service, never by a client."""

UserId = NewType("UserId", str)
"""The `sub` claim of a verified token, byte for byte."""
