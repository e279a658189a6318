"""Keeping what a provider made: PNG or MP4 at the given path, a thumbnail, and its library row.

Guarantee: the row and the job's end land in one write (see `Outcome`), and the object only over
what this run saw when it began; so a result is kept once, whatever a provider answers each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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
from media_pipeline.storage.paths import derived_prefix, image_path, video_path
from media_pipeline.storage.store import Store

MAX_NAME: Final = 80
SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"


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

    async def keep(self, output: Output, *, provider: str, model: str) -> Item:
        """Store one output as it is promised and return its library row, not yet written."""
        marks = _marks(self._request, output, provider=provider, model=model)
        data, inspected = await asyncio.to_thread(lambda: _finish(self._request.kind, output, marks))
        path, thumbnail_path = _paths(self._request, output.index)
        content_type = "image/png" if self._request.kind == "image" else "video/mp4"
        await self._objects.write(thumbnail_path, inspected.thumbnail, "image/webp")
        version = await self._objects.write(path, data, content_type)
        return Item(
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
    facts = {name: marks[name] for name in ("prompt", "provider", "model", "seed") if name in marks}
    xmp = pictures.xmp_packet(marks["digitalSourceType"], software=marks["Software"], facts=facts)
    encode = pictures.to_png if kind == "image" else pictures.stamp_mp4
    try:
        finished = encode(output.data, text=marks, xmp=xmp)
        return finished, inspect(finished, kind)
    except pictures.BadPicture as error:
        raise ProviderError(ErrorCode.BAD_OUTPUT, str(error), provider=marks["provider"]) from error


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
