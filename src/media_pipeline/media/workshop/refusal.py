"""Why the workshop does not take a file."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar, Final

import av.error
from PIL import Image, UnidentifiedImageError

from media_pipeline.errors import MediaPipelineError

MAX_PIXELS: Final = 100_000_000
"""A decoded picture of so many pixels takes 400 MB; more is refused before it is decoded."""


class BadPicture(MediaPipelineError):
    """The bytes cannot be read as the picture or film they are said to be."""

    code: ClassVar[str] = "bad_media"


@contextmanager
def refusing(what: str) -> Generator[None, None, None]:
    """Turn what decoders raise into `BadPicture`; `what` is "picture" or "film"."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise BadPicture(f"The file is not a {what} of a known kind.") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError, MemoryError) as error:
        raise BadPicture(too_big(what)) from error
    except av.error.FFmpegError as error:
        raise BadPicture(f"The {what} is damaged or cut off.") from error
    except (OSError, SyntaxError, ValueError, ArithmeticError, EOFError, LookupError) as error:
        raise BadPicture(f"The {what} is damaged or cut off.") from error


@contextmanager
def encoding(codec: str) -> Generator[None, None, None]:
    """Turn what an encoder raises into a `BadPicture` that does not blame the film."""
    try:
        yield
    except av.error.FFmpegError as error:
        sentence = f"The film is well, but the encoder of {codec} failed; try another codec or height."
        raise BadPicture(sentence) from error


def too_big(what: str) -> str:
    """Say that there are too many pixels."""
    return f"The {what} needs more room than is given: {MAX_PIXELS // 1_000_000} million pixels at most."
