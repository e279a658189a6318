"""Keeping what a provider made: PNG or MP4 at the given path, a thumbnail, and its library row.

Every result says where it comes from: by the provider's own content credentials (C2PA), which keep a PNG or
MP4 as it came, else by XMP and text of ours. What must be encoded anew loses its credentials, so it is kept
beside as it came.

Guarantee: the row and the job's end land in one write (see `Outcome`), and the object only over
what this run saw when it began; so a result is kept once, whatever a provider answers each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from media_pipeline.clock import Clock
from media_pipeline.generation.provider import (
    ErrorCode,
    GenerationRequest,
    MediaKind,
    Output,
    ProviderError,
)
from media_pipeline.media import pictures
from media_pipeline.media.claimed import ClaimedObjects
from media_pipeline.media.inspect import Inspected, inspect
from media_pipeline.media.item import Item
from media_pipeline.media.sniff import HEAD_BYTES, sniff
from media_pipeline.storage.paths import derived_prefix, image_path, original_prefix, video_path
from media_pipeline.storage.store import Store

MAX_NAME: Final = 80
SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"


PROMISED: Final[Mapping[MediaKind, str]] = {"image": "image/png", "video": "video/mp4"}


@dataclass(frozen=True, slots=True)
class Kept:
    """An output's library row, and the path of the provider's untouched bytes where they stand beside it."""

    item: Item
    original: str | None


class Keeper:
    """Keep the outputs of one run of one job."""

    def __init__(self, request: GenerationRequest, objects: ClaimedObjects, *, clock: Clock) -> None:
        self._request = request
        self._objects = objects
        self._clock = clock

    @classmethod
    async def open(cls, store: Store, request: GenerationRequest, *, clock: Clock) -> Keeper:
        """See what stands where the results will go."""
        paths = [path for index in range(request.n) for path in _paths(request, index)]
        return cls(request, await ClaimedObjects.look(store, paths), clock=clock)

    async def keep(self, output: Output, *, provider: str, model: str) -> Kept:
        """Store one output as it is promised and return its library row, not yet written."""
        marks = _marks(self._request, output, provider=provider, model=model)
        data, inspected = await asyncio.to_thread(lambda: _finish(self._request.kind, output, marks))
        path, thumbnail_path = _paths(self._request, output.index)
        original = await self._keep_original(output, data)
        content_type = PROMISED[self._request.kind]
        await self._objects.write(thumbnail_path, inspected.thumbnail, "image/webp")
        version = await self._objects.write(path, data, content_type)
        item = Item(
            path=path,
            user_id=self._request.user_id,
            job_id=self._request.job_id,
            kind=self._request.kind,
            source="generated",
            name=_name(self._request, output.index),
            content_type=content_type,
            size=len(data),
            version=version,
            created_at=self._clock.now(),
            width=inspected.width,
            height=inspected.height,
            duration=inspected.duration,
            thumbnail_path=thumbnail_path,
            prompt=self._request.prompt,
            model=model,
            seed=output.seed,
        )
        return Kept(item, original)

    async def _keep_original(self, output: Output, shown: bytes) -> str | None:
        """Keep what the provider sent where what is shown lost its content credentials; return its path."""
        given = output.data or b""
        if given == shown or not has_credentials(given):
            return None
        prefix = original_prefix(self._request.user_id, self._request.job_id, output.index)
        suffix = output.content_type.rpartition("/")[2] or "bin"
        await self._objects.write_beside(prefix + suffix, given, output.content_type)
        return prefix + suffix


def _paths(request: GenerationRequest, index: int) -> tuple[str, str]:
    place = image_path if request.kind == "image" else video_path
    thumbnail = f"{derived_prefix(request.user_id, request.job_id)}thumbnail_{index}.webp"
    return place(request.user_id, request.job_id, index), thumbnail


def _finish(kind: MediaKind, output: Output, marks: Mapping[str, str]) -> tuple[bytes, Inspected]:
    """Encode as promised, mark where it comes from, decode for real; blocks."""
    if output.data is None:
        raise ProviderError(
            ErrorCode.BAD_OUTPUT, "The provider answered without bytes.", provider=marks["provider"]
        )
    if has_credentials(output.data) and sniff(output.data[:HEAD_BYTES]) == PROMISED[kind]:
        return output.data, _inspected(output.data, kind, provider=marks["provider"])
    facts = {name: marks[name] for name in ("prompt", "provider", "model", "seed") if name in marks}
    xmp = pictures.xmp_packet(marks["digitalSourceType"], software=marks["Software"], facts=facts)
    encode = pictures.to_png if kind == "image" else pictures.stamp_mp4
    try:
        finished = encode(output.data, text=marks, xmp=xmp)
    except pictures.BadPicture as error:
        raise ProviderError(ErrorCode.BAD_OUTPUT, str(error), provider=marks["provider"]) from error
    return finished, _inspected(finished, kind, provider=marks["provider"])


def _inspected(data: bytes, kind: MediaKind, *, provider: str) -> Inspected:
    try:
        return inspect(data, kind)
    except pictures.BadPicture as error:
        raise ProviderError(ErrorCode.BAD_OUTPUT, str(error), provider=provider) from error


def has_credentials(data: bytes) -> bool:
    """Tell whether a file carries a C2PA manifest, which any change of its bytes would make invalid."""
    return b"jumb" in data and b"c2pa" in data


def _marks(request: GenerationRequest, output: Output, *, provider: str, model: str) -> dict[str, str]:
    honest = "" if output.source_type == "trainedAlgorithmicMedia" else f" ({provider}, not an AI model)"
    marks = {
        "Software": f"Media Pipeline{honest}",
        "prompt": request.prompt,
        "provider": provider,
        "model": model,
        "digitalSourceType": SOURCE_TYPES + output.source_type,
    }
    return marks if output.seed is None else marks | {"seed": str(output.seed)}


def _name(request: GenerationRequest, index: int) -> str:
    words = " ".join(request.prompt.split())[:MAX_NAME].strip() or request.kind
    return words if request.n == 1 else f"{words} ({index + 1})"
