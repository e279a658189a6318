"""Keeping what a provider made: PNG or MP4 at the given path, a thumbnail, and its library row.

Every result says where it comes from: by the provider's own content credentials (C2PA), which keep a PNG or
MP4 as it came, else by XMP and text of ours. What must be encoded anew loses its credentials, so it is kept
beside as it came.

Guarantee: the row and the job's end land in one write (see `Outcome`), and the object only over
what this run saw when it began; so a result is kept once, whatever a provider answers each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from media_pipeline.clock import Clock
from media_pipeline.generation.credentials import CredentialSigner
from media_pipeline.generation.provider import (
    ErrorCode,
    GenerationRequest,
    MediaKind,
    Output,
    ProviderError,
)
from media_pipeline.media.claimed import ClaimedObjects
from media_pipeline.media.finish import Looks, Promised, as_it_looks, finish, look_at, write_rungs
from media_pipeline.media.item import Item
from media_pipeline.media.marks import xmp_packet
from media_pipeline.media.sniff import HEAD_BYTES, sniff
from media_pipeline.media.workshop.orders import LADDER
from media_pipeline.media.workshop.refusal import BadPicture
from media_pipeline.media.workshop.workshop import Workshop
from media_pipeline.storage.paths import image_path, original_prefix, thumbnail_path, video_path
from media_pipeline.storage.store import Store

MAX_NAME: Final = 80
PROMISED: Final[Mapping[MediaKind, Promised]] = {"image": "image/png", "video": "video/mp4"}
SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@dataclass(frozen=True, slots=True)
class Kept:
    """An output's library row, and the path of the provider's untouched bytes where they stand beside it."""

    item: Item
    original: str | None


class Keeper:
    """Keep the outputs of one run of one job."""

    def __init__(
        self,
        request: GenerationRequest,
        objects: ClaimedObjects,
        workshop: Workshop,
        *,
        clock: Clock,
        signer: CredentialSigner | None = None,
    ) -> None:
        self._request = request
        self._workshop = workshop
        self._objects = objects
        self._clock = clock
        self._signer = signer

    @classmethod
    async def open(
        cls,
        store: Store,
        request: GenerationRequest,
        workshop: Workshop,
        *,
        attempt: int,
        clock: Clock,
        signer: CredentialSigner | None = None,
    ) -> Keeper:
        """See what stands where the results of the `attempt`-th run will go."""
        paths = [path for index in range(request.n) for path in _paths(request, index)]
        objects = await ClaimedObjects.claim(store, paths, attempt=attempt)
        return cls(request, objects, workshop, clock=clock, signer=signer)

    async def keep(self, output: Output, *, provider: str, model: str) -> Kept:
        """Store one output as it is promised and return its library row, not yet written."""
        marks = _marks(self._request, output, provider=provider, model=model)
        data, looks = await self._finish(output, marks)
        path, *thumbnail_paths = _paths(self._request, output.index)
        original = await self._keep_original(output, data)
        content_type = PROMISED[self._request.kind]
        rungs = await write_rungs(self._objects.write, looks, thumbnail_paths)
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
            prompt=self._request.prompt,
            model=model,
            seed=output.seed,
        )
        return Kept(as_it_looks(item, looks.examined, rungs), original)

    async def _keep_original(self, output: Output, shown: bytes) -> str | None:
        """Keep what the provider sent where what is shown lost its content credentials; return its path."""
        given = output.data or b""
        if given == shown or not has_credentials(given):
            return None
        prefix = original_prefix(self._request.user_id, self._request.job_id, output.index)
        suffix = output.content_type.rpartition("/")[2] or "bin"
        await self._objects.write_beside(prefix + suffix, given, output.content_type)
        return prefix + suffix

    def _sign(self, output: Output) -> Callable[[bytes], bytes] | None:
        if self._signer is None:
            return None
        promised = PROMISED[self._request.kind]
        return partial(self._signer.sign, content_type=promised, source_type=output.source_type)

    async def _finish(self, output: Output, marks: Mapping[str, str]) -> tuple[bytes, Looks]:
        """Encode as promised, mark where it comes from, decode for real."""
        if output.data is None:
            sentence = "The provider answered without bytes."
            raise ProviderError(ErrorCode.BAD_OUTPUT, sentence, provider=marks["provider"])
        promised = PROMISED[self._request.kind]
        try:
            if has_credentials(output.data) and sniff(output.data[:HEAD_BYTES]) == promised:
                return output.data, await look_at(self._workshop, output.data, promised)
            facts = {name: marks[name] for name in ("prompt", "provider", "model", "seed") if name in marks}
            xmp = xmp_packet(marks["digitalSourceType"], software=marks["Software"], facts=facts)
            sign = self._sign(output)
            return await finish(self._workshop, output.data, promised, text=marks, xmp=xmp, sign=sign)
        except BadPicture as error:
            raise ProviderError(ErrorCode.BAD_OUTPUT, str(error), provider=marks["provider"]) from error


def _paths(request: GenerationRequest, index: int) -> list[str]:
    """Return where an output goes, then its thumbnails."""
    place = image_path if request.kind == "image" else video_path
    user_id, job_id = request.user_id, request.job_id
    rungs = [thumbnail_path(user_id, job_id, rung, index=index) for rung in range(len(LADDER))]
    return [place(user_id, job_id, index), *rungs]


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
