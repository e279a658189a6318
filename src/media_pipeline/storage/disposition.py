"""How a browser shows an object: what it could run is only ever an attachment."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

_ATTR_CHAR: Final = "!#$&+-.^_`|~"
_RASTER: Final = frozenset(
    f"image/{name}" for name in ("apng", "avif", "bmp", "gif", "heic", "heif", "jpeg", "png", "tiff", "webp")
)


def disposition(path: str, content_type: str) -> str:
    """Return the `Content-Disposition` of an object; an attachment has its name by RFC 6266 and RFC 8187."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _RASTER or kind.startswith(("video/", "audio/")):
        return "inline"
    filename = path.rpartition("/")[2]
    plain = re.sub(r'[^ -~]|["\\%]', "_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe=_ATTR_CHAR)}"
