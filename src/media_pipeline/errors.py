"""The root of every error this package raises on purpose."""

from __future__ import annotations

from typing import ClassVar


class MediaPipelineError(Exception):
    """Something a caller can act on.

    The class carries `code` (stable, documented, on the wire) and `retryable` (whether the same
    request may succeed later); the message is one sentence for a person.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
