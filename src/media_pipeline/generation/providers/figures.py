"""What providers count of their own work: the plain numbers of an object in an answer."""

from __future__ import annotations

from collections.abc import Mapping

from media_pipeline.generation.provider import Usage


def usage_of(counted: object) -> Usage | None:
    """Return the numbers of an object, whatever else stands in it; None where there are none."""
    found = counted if isinstance(counted, Mapping) else {}
    figures = {
        str(name): float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return Usage(figures) if figures else None
