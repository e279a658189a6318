"""What obstore raises, said as a store says it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from media_pipeline.storage.patience import PASSING, Passing
from media_pipeline.storage.store import PreconditionFailed, StoreError

_STATUS: Final = re.compile(r"status code: (\d{3})")
_NOT_SATISFIABLE: Final = 416


class NotThere(Exception):
    """No object, or not of this version."""


class PastTheEnd(Exception):
    """The range begins behind the last byte."""


@contextmanager
def told(path: str) -> Iterator[None]:
    """Turn what obstore raises into what the store says."""
    try:
        yield
    except (AlreadyExistsError, PreconditionError) as error:
        raise PreconditionFailed(f"The object at {path} is not the version that was expected.") from error
    except (NotFoundError, FileNotFoundError) as error:
        raise NotThere from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreError(f"The bucket refuses these credentials: {_first_line(error)}") from error
    except GenericError as error:
        raise _judge(error) from error
    except BaseError as error:
        raise StoreError(f"The store failed: {_first_line(error)}") from error


def _judge(error: GenericError) -> Exception:
    found = _STATUS.search(str(error))
    status = int(found[1]) if found else 0
    if status == _NOT_SATISFIABLE:
        return PastTheEnd()
    if not status or status in PASSING:
        return Passing(f"status {status}" if status else "the connection failed")
    return StoreError(f"The store refused: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    """Return what an error says without addresses, which may be signed."""
    return re.sub(r"https?://\S+", "the store", str(error).split("\n", 1)[0])[:200]
