"""Keeping what a provider made: PNG or MP4 at the given path, a thumbnail, and its library row.

Guarantee: the row and the job's end land in one write (see `Outcome`), and the object only over
what this run saw when it began; so a result is kept once, whatever a provider answers each time.
"""

from __future__ import annotations

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
from media_pipeline.media.claimed import ClaimedObjects
from media_pipeline.media.finish import Looks, Promised, finish, write_rungs
from media_pipeline.media.item import Item, shown_rung, write_thumbhash
from media_pipeline.media.marks import xmp_packet
from media_pipeline.media.workshop.orders import LADDER
from media_pipeline.media.workshop.refusal import BadPicture
from media_pipeline.media.workshop.workshop import Workshop
from media_pipeline.storage.paths import derived_prefix, image_path, video_path
from media_pipeline.storage.store import Store

MAX_NAME: Final = 80
PROMISED: Final[Mapping[MediaKind, Promised]] = {"image": "image/png", "video": "video/mp4"}
SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class Keeper:
    """Keep the outputs of one run of one job."""

    def __init__(
        self, request: GenerationRequest, objects: ClaimedObjects, workshop: Workshop, *, clock: Clock
    ) -> None:
        self._request = request
        self._workshop = workshop
        self._objects = objects
        self._clock = clock

    @classmethod
    async def open(
        cls, store: Store, request: GenerationRequest, workshop: Workshop, *, clock: Clock
    ) -> Keeper:
        """See what stands where the results will go."""
        paths = [path for index in range(request.n) for path in _paths(request, index)]
        return cls(request, await ClaimedObjects.look(store, paths), workshop, clock=clock)

    async def keep(self, output: Output, *, provider: str, model: str) -> Item:
        """Store one output as it is promised and return its library row, not yet written."""
        marks = _marks(self._request, output, provider=provider, model=model)
        data, looks = await self._finish(output, marks)
        path, *thumbnail_paths = _paths(self._request, output.index)
        content_type = PROMISED[self._request.kind]
        rungs = await write_rungs(self._objects, looks, thumbnail_paths)
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
            width=looks.examined.width,
            height=looks.examined.height,
            duration=looks.examined.duration,
            thumbnail_path=shown_rung(rungs).path,
            thumbnails=rungs,
            thumbhash=write_thumbhash(looks.examined.thumbhash),
            prompt=self._request.prompt,
            model=model,
            seed=output.seed,
        )

    async def _finish(self, output: Output, marks: Mapping[str, str]) -> tuple[bytes, Looks]:
        """Encode as promised, mark where it comes from, decode for real."""
        if output.data is None:
            sentence = "The provider answered without bytes."
            raise ProviderError(ErrorCode.BAD_OUTPUT, sentence, provider=marks["provider"])
        facts = {name: marks[name] for name in ("prompt", "provider", "model", "seed") if name in marks}
        xmp = xmp_packet(marks["digitalSourceType"], software=marks["Software"], facts=facts)
        promised = PROMISED[self._request.kind]
        try:
            return await finish(self._workshop, output.data, promised, text=marks, xmp=xmp)
        except BadPicture as error:
            raise ProviderError(ErrorCode.BAD_OUTPUT, str(error), provider=marks["provider"]) from error


def _paths(request: GenerationRequest, index: int) -> list[str]:
    """Return where an output goes, then its thumbnails."""
    place = image_path if request.kind == "image" else video_path
    prefix = f"{derived_prefix(request.user_id, request.job_id)}thumbnail_{index}"
    rungs = [f"{prefix}_{rung}.webp" for rung in range(len(LADDER))]
    return [place(request.user_id, request.job_id, index), *rungs]


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
