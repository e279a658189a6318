"""Which settings switch which provider on: one row an adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from media_pipeline.clock import Clock
from media_pipeline.generation.catalogue import Catalogue
from media_pipeline.generation.origins import Origin, origin
from media_pipeline.generation.provider import MediaProvider
from media_pipeline.generation.providers.access import Access, ReadInput
from media_pipeline.generation.providers.comfyui import ComfyUIProvider
from media_pipeline.generation.providers.diffusers import DiffusersProvider
from media_pipeline.generation.providers.fal import FalProvider
from media_pipeline.generation.providers.google import GeminiProvider, VeoProvider, default_token
from media_pipeline.generation.providers.openai import OpenAIProvider
from media_pipeline.generation.providers.openai_video import OpenAIVideoProvider
from media_pipeline.generation.providers.procedural import ProceduralProvider
from media_pipeline.generation.providers.replicate import ReplicateProvider
from media_pipeline.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An adapter: `switch` is the setting that turns it on, `address` and `key` name where and how to ask.

    `build` takes what every adapter is given, and the settings for what is its own.
    """

    name: str
    switch: str
    address: str | None
    build: Callable[[Access, Settings], MediaProvider]
    key: str | None = None
    calls_back: bool = False


ROWS: Final[Sequence[Row]] = (
    Row(
        name=OpenAIProvider.name,
        switch="openai_api_key",
        key="openai_api_key",
        address="openai_base_url",
        build=lambda access, _: OpenAIProvider(access),
    ),
    Row(
        name=OpenAIVideoProvider.name,
        switch="openai_video_base_url",
        key="openai_video_api_key",
        address="openai_video_base_url",
        build=lambda access, _: OpenAIVideoProvider(access),
    ),
    Row(
        name=GeminiProvider.name,
        switch="gemini_api_key",
        key="gemini_api_key",
        address="gemini_base_url",
        build=lambda access, _: GeminiProvider(access),
    ),
    Row(
        name=VeoProvider.name,
        switch="vertex_project",
        address="vertex_base_url",
        build=lambda access, settings: VeoProvider(
            access,
            project=str(settings.vertex_project),
            location=settings.vertex_location,
            token=default_token(),
        ),
    ),
    Row(
        name=ComfyUIProvider.name,
        switch="comfyui_url",
        key="comfyui_api_key",
        address="comfyui_url",
        build=lambda access, settings: ComfyUIProvider(access, folder=settings.media_comfyui_workflows),
    ),
    Row(
        name=ReplicateProvider.name,
        switch="replicate_api_token",
        key="replicate_api_token",
        address="replicate_base_url",
        build=lambda access, _: ReplicateProvider(access),
        calls_back=True,
    ),
    Row(
        name=DiffusersProvider.name,
        switch="media_diffusers_model",
        address=None,
        build=lambda access, settings: DiffusersProvider(
            access.models, source=str(settings.media_diffusers_model)
        ),
    ),
    Row(
        name=FalProvider.name,
        switch="fal_key",
        key="fal_key",
        address="fal_base_url",
        build=lambda access, _: FalProvider(access),
        calls_back=True,
    ),
)
"""In the order in which they are tried where nothing else is said."""

BUILT_IN: Final = ProceduralProvider.name


def build_providers(
    settings: Settings, *, clock: Clock, read_input: ReadInput, rows: Sequence[Row] = ROWS
) -> list[MediaProvider]:
    """Build the providers that `settings` switch on, in the order in which they are tried.

    The built-in one serves where there is no other, or where `MEDIA_PROVIDERS` names it: a demo never stands
    in for a model that is down. Raises `SettingsError` for a name that is not switched on.
    """
    catalogue = Catalogue.load(settings.media_models_file)
    on = {row.name: row for row in rows if getattr(settings, row.switch)}
    names = settings.media_providers or tuple(on) or (BUILT_IN,)
    for name in names:
        if name not in on and name != BUILT_IN:
            raise SettingsError(f"MEDIA_PROVIDERS: {name} is {_why_off(name, rows)}")
    return [
        ProceduralProvider()
        if name == BUILT_IN
        else on[name].build(
            _access(on[name], settings, catalogue=catalogue, clock=clock, read_input=read_input), settings
        )
        for name in dict.fromkeys(names)
    ]


def own_origins(settings: Settings, rows: Sequence[Row] = ROWS) -> frozenset[Origin]:
    """Return where results may lie even if it is private: at the providers, and where the operator says."""
    addresses = [
        getattr(settings, row.address) for row in rows if row.address and getattr(settings, row.switch)
    ]
    return frozenset(origin(url) for url in [*addresses, *settings.media_result_origins] if url)


def _why_off(name: str, rows: Sequence[Row]) -> str:
    switches: Mapping[str, str] = {row.name: row.switch.upper() for row in rows}
    return f"off: set {switches[name]}" if name in switches else "no provider of this release"


def _access(
    row: Row, settings: Settings, *, catalogue: Catalogue, clock: Clock, read_input: ReadInput
) -> Access:
    key = getattr(settings, row.key) if row.key else None
    return Access(
        base_url=getattr(settings, row.address) if row.address else "",
        models=catalogue.of(row.name),
        key=key.get_secret_value() if isinstance(key, SecretStr) else "",
        clock=clock,
        read_input=read_input,
        webhook_url=f"{settings.base_url}/webhooks/{row.name}"
        if row.calls_back and not settings.on_loopback
        else None,
    )
