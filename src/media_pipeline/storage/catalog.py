"""What a store holds, by path: the index that answers `stat`, `list` and preconditions."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from itertools import takewhile

from media_pipeline.storage.store import ABSENT, MediaObject, ObjectNotFound, PreconditionFailed, Version


class Catalog:
    """Objects in the order of their paths; a lookup is one dictionary access."""

    def __init__(self, objects: Iterable[MediaObject] = ()) -> None:
        self._objects = {item.path: item for item in objects}
        self._paths = sorted(self._objects)

    def __contains__(self, path: str) -> bool:
        return path in self._objects

    def find(self, path: str) -> MediaObject:
        """Return the object at `path` or raise `ObjectNotFound`."""
        try:
            return self._objects[path]
        except KeyError:
            raise ObjectNotFound(f"There is no object at {path}.") from None

    def under(self, prefix: str) -> list[MediaObject]:
        """Return the objects whose path starts with `prefix`, by path."""
        first = bisect_left(self._paths, prefix)
        behind = (self._paths[place] for place in range(first, len(self._paths)))
        return [self._objects[path] for path in takewhile(lambda path: path.startswith(prefix), behind)]

    def size(self, path: str) -> int:
        """Return the bytes of the object at `path`, 0 if there is none."""
        found = self._objects.get(path)
        return found.size if found else 0

    def require(self, path: str, version: Version | None) -> None:
        """Raise `PreconditionFailed` unless `version` (None for any) stands at `path`."""
        if version is None:
            return
        found = self._objects.get(path)
        if version != (found.version if found else ABSENT):
            raise PreconditionFailed(f"The object at {path} is not the version that was expected.")

    def put(self, item: MediaObject) -> None:
        """Add or replace one object."""
        if item.path not in self._objects:
            insort(self._paths, item.path)
        self._objects[item.path] = item

    def drop(self, path: str) -> None:
        """Forget `path`; one that is not there is no error."""
        if self._objects.pop(path, None):
            del self._paths[bisect_left(self._paths, path)]
