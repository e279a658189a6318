"""The providers that must keep the promises of `MediaProvider`: one line each.

A remote adapter comes with a fake of its provider (`tests/servers/provider.py` says what a fake owes) and
is one line in `REMOTE`: `remote("name", Fake, Adapter)`. Then every test of this folder runs against it:
those of `test_provider.py` as against any provider, those of `test_remote.py` against its faults.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2

from media_pipeline.generation.catalogue import Catalogue
from media_pipeline.generation.provider import InputMedia, MediaKind, MediaProvider, Output
from media_pipeline.generation.providers.access import Access
from media_pipeline.generation.providers.comfyui import ComfyUIProvider
from media_pipeline.generation.providers.diffusers import DiffusersProvider
from media_pipeline.generation.providers.fal import FalProvider
from media_pipeline.generation.providers.google import GeminiProvider, VeoProvider
from media_pipeline.generation.providers.openai import OpenAIProvider
from media_pipeline.generation.providers.openai_video import OpenAIVideoProvider
from media_pipeline.generation.providers.procedural import ProceduralProvider
from media_pipeline.generation.providers.replicate import ReplicateProvider
from tests.conformance.provider import tiny
from tests.servers.comfyui import ComfyUIServer
from tests.servers.fal import FalServer
from tests.servers.google import InteractionServer, PictureServer, VeoServer
from tests.servers.media import Shelf, still
from tests.servers.openai import OpenAIServer
from tests.servers.openai_video import OpenAIVideoServer
from tests.servers.provider import ProviderServer
from tests.servers.replicate import ReplicateServer


class QuickClock:
    """Sleeps take no time; the hour goes on by as much."""

    def __init__(self) -> None:
        self._slept = 0.0

    def now(self) -> float:
        return time.time() + self._slept

    def monotonic(self) -> float:
        return time.monotonic() + self._slept

    async def sleep(self, seconds: float) -> None:
        self._slept += max(0.0, seconds)
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Bench:
    """A provider under test, and how to see from outside whether it works on anything.

    A remote one comes with its `server`; with `dead`, the same adapter where nobody listens; and with
    `locked`, the same with a wrong key.
    """

    provider: MediaProvider
    at_work: Callable[[], bool] | None = None
    server: ProviderServer | None = None
    dead: MediaProvider | None = None
    locked: MediaProvider | None = None

    async def fetch(self, output: Output) -> Output:
        """Return an output with its bytes and their type, fetched where only a URL was given."""
        if output.data is not None or output.url is None:
            return output
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.get(output.url, headers=dict(output.url_headers))
            assert answer.status_code == 200, answer.text
            return replace(output, data=answer.content, content_type=answer.headers["content-type"])


Engine = Callable[[], AbstractAsyncContextManager[Bench]]
Adapter = Callable[[Access], MediaProvider]


@asynccontextmanager
async def procedural() -> AsyncIterator[Bench]:
    provider = ProceduralProvider(processes=1)
    yield Bench(provider, at_work=lambda: bool(provider.working))
    await provider.aclose()


@asynccontextmanager
async def diffusers() -> AsyncIterator[Bench]:
    """A pipeline for pictures and one for films, with random weights, in the child that real ones have."""
    with tempfile.TemporaryDirectory() as folder:
        pictures, films = Path(folder) / "pictures", Path(folder) / "films"
        await asyncio.to_thread(tiny.build, pictures)
        await asyncio.to_thread(tiny.build_film, films)
        [entry] = Catalogue.load().of("diffusers")
        still = replace(entry, wire={"steps": 6})
        film = replace(
            entry, kind="video", n_max=1, seconds_max=1, fps=(8,), wire={"source": str(films), "steps": 6}
        )
        provider = DiffusersProvider([still, film], source=str(pictures))
        yield Bench(provider, at_work=lambda: bool(provider.working))
        await provider.aclose()


async def read_input(image: InputMedia) -> bytes:
    """Give every picture of a request some bytes; a path with "large" in it gives many."""
    return still(1, 2048 if "large" in image.path else 64, 64, "BMP" if "large" in image.path else "PNG")


def remote(
    name: str,
    fake: type[ProviderServer],
    adapter: Adapter,
    *,
    path: str = "",
    prepare: Callable[[ProviderServer], Awaitable[None]] | None = None,
) -> Engine:
    """Run an adapter against its fake, with the packaged models; `path` is that of its base URL."""

    @asynccontextmanager
    async def engine() -> AsyncIterator[Bench]:
        with Shelf.served() as shelf, fake.served(shelf) as server:
            access = Access(
                base_url=server.url + path,
                models=Catalogue.load().of(name),
                key=server.key,
                clock=QuickClock(),
                read_input=read_input,
            )
            if prepare is not None:
                await prepare(server)
            provider = adapter(access)
            dead = adapter(replace(access, base_url="http://127.0.0.1:1" + path))
            locked = adapter(replace(access, key="a wrong key"))
            yield Bench(provider, server=server, dead=dead, locked=locked)
            for each in (provider, dead, locked):
                await each.aclose()
            assert not any("authorization" in request.headers for request in shelf.requests)

    return engine


def gemini_of(kind: MediaKind) -> Adapter:
    """Speak to one half of the Gemini API: pictures and films have nothing in common but the key."""
    return lambda access: GeminiProvider(
        replace(access, models=[model for model in access.models if model.kind == kind])
    )


def veo(access: Access) -> MediaProvider:
    async def token() -> str:
        return access.key

    return VeoProvider(access, project="studio", location="us-central1", token=token)


REMOTE: Mapping[str, Engine] = {
    "comfyui": remote("comfyui", ComfyUIServer, ComfyUIProvider),
    "google-pictures": remote("google", PictureServer, gemini_of("image")),
    "google-films": remote("google", InteractionServer, gemini_of("video")),
    "vertex": remote("vertex", VeoServer, veo),
    "openai": remote("openai", OpenAIServer, OpenAIProvider, path="/v1"),
    "openai_video": remote("openai_video", OpenAIVideoServer, OpenAIVideoProvider, path="/v1"),
    "fal": remote("fal", FalServer, FalProvider),
    "replicate": remote("replicate", ReplicateServer, ReplicateProvider),
}
HEAVY: Mapping[str, Engine] = {"diffusers": diffusers}
"""Those whose extra weighs gigabytes: long, and skipped where it is not installed."""
ENGINES: Mapping[str, Engine] = {"procedural": procedural, **REMOTE, **HEAVY}
"""Every test here runs against every provider."""

MAKES: Mapping[str, Sequence[MediaKind]] = {
    "procedural": ("image", "video"),
    "comfyui": ("image",),
    "google-pictures": ("image",),
    "google-films": ("video",),
    "vertex": ("video",),
    "openai": ("image",),
    "openai_video": ("video",),
    "fal": ("image", "video"),
    "replicate": ("image", "video"),
    "diffusers": ("image", "video"),
}
"""What each makes, and so what it is tested with; the fixture `bench` checks that it is the truth."""
AT_ONCE = frozenset({"openai", "google-pictures"})
"""Those where a job ends with its connection: the rules of taken jobs are not for them."""
