"""What a run keeps and shows on its way: signed results, small partial pictures."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio
from PIL import Image

from media_pipeline.clock import Clock
from media_pipeline.generation.credentials import CredentialSigner
from media_pipeline.generation.handlers import ImageHandler
from media_pipeline.generation.manager import MediaGenerationManager
from media_pipeline.generation.previews import SIDE, SMALL
from media_pipeline.generation.provider import Preview
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.workshop.workshop import Workshop
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import NewJob, WorkerId
from media_pipeline.realtime.events import Event, GenerationPreview
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.paths import image_path
from tests.clocks import FakeClock
from tests.servers.media import still
from tests.unit.queue.doubles import Stage, staged

from .scripted import PICTURE, Script, Scripted, insist

pytestmark = pytest.mark.asyncio(loop_scope="module")
GOOD = replace(PICTURE, data=still(1, 64, 64))
LARGE = still(1, 1024, 512)


class Stamp(CredentialSigner):
    """Signs by a word at the end, which a PNG may have."""

    def __init__(self) -> None: ...

    def sign(self, data: bytes, content_type: str, *, source_type: str) -> bytes:
        return data + f"signed {content_type} {source_type}".encode()


@dataclass
class Ear:
    """Hears the addresses of partial pictures."""

    urls: list[str] = field(default_factory=list)

    async def publish(self, user_id: UserId, event: Event) -> None:
        if isinstance(event, GenerationPreview):
            self.urls.append(event.url)


@dataclass
class Room:
    """One job, run once with a script."""

    stage: Stage
    workshop: Workshop
    store: MemoryStore = field(default_factory=lambda: MemoryStore("http://media.test"))
    ear: Ear = field(default_factory=Ear)
    clock: Clock = field(default_factory=FakeClock)

    async def run(self, script: Script, *, signer: CredentialSigner | None = None) -> None:
        queue, worker = self.stage.queue, WorkerId("w")
        new = NewJob(id=JobId("j"), user_id=UserId("ann"), kind="generate.image", payload={"prompt": "x"})
        await queue.enqueue(new)
        await queue.register(worker, lease_seconds=60)
        [job] = await queue.claim(worker, {"generate.image": 1}, limit=1)
        manager = MediaGenerationManager([Scripted(scripts=[script])], clock=self.clock)
        handler = ImageHandler(
            manager, self.store, self.ear, workshop=self.workshop, clock=self.clock, signer=signer
        )
        await handler(Run(job, queue, insist))

    async def shown(self) -> list[bytes]:
        """Return the partial pictures, each by the address that was told."""
        paths = [url.partition("/storage/")[2] for url in self.ear.urls]
        return [await self.store.read(path) for path in paths]


@pytest_asyncio.fixture(loop_scope="module")
async def room(workshop: Workshop) -> AsyncIterator[Room]:
    async with staged() as stage:
        yield Room(stage, workshop)


async def test_a_configured_signer_signs_what_is_kept(room: Room) -> None:
    """Where a certificate is configured, what is kept has gone through it, with its source."""
    await room.run([GOOD], signer=Stamp())
    kept = await room.store.read(image_path(UserId("ann"), JobId("j"), 0))
    assert kept.endswith(b"signed image/png trainedAlgorithmicMedia")


async def test_partial_pictures_are_made_small(room: Room) -> None:
    """A full-size PNG of a provider is shown as a small WebP."""
    await room.run([Preview(0, LARGE, "image/png"), GOOD])
    [data] = await room.shown()
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (SIDE, SIDE // 2))
    assert len(data) <= SMALL


async def test_a_small_partial_picture_is_shown_as_it_came(room: Room) -> None:
    """What is a small WebP already is not encoded anew."""
    given = still(1, 64, 64, "WEBP")
    await room.run([Preview(0, given, "image/webp"), GOOD])
    assert await room.shown() == [given]


async def test_partial_pictures_in_a_hurry_are_left_out(room: Room) -> None:
    """Of those that come within the same moment one is shown for each output."""
    await room.run([*[Preview(0, LARGE, "image/png")] * 5, Preview(1, LARGE, "image/png"), GOOD])
    assert len(room.ear.urls) == 2


async def test_what_is_no_picture_is_not_shown(room: Room) -> None:
    """A partial picture that does not decode is left out, and the run goes on."""
    await room.run([Preview(0, b"<html>", "image/png"), Preview(1, LARGE[:40], "image/png"), GOOD])
    assert room.ear.urls == []
