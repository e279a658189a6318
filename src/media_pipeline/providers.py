"""Which settings switch which provider on, one row an adapter; and what all of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import SecretStr

from media_pipeline.clock import Clock
from media_pipeline.db.database import Database
from media_pipeline.environment import SettingsError
from media_pipeline.generation.catalogue import Catalogue
from media_pipeline.generation.credentials import CredentialSigner
from media_pipeline.generation.downloads import Downloads
from media_pipeline.generation.fleet import DatabaseFleet
from media_pipeline.generation.knocks import Knocks
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
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.settings import Settings


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
    webhook_secret: str | None = None
    webhook_keys: Callable[[Settings], str] = lambda _: ""


class Given(NamedTuple):
    """What every provider shares."""

    catalogue: Catalogue
    clock: Clock
    read_input: ReadInput
    knocks: Knocks | None


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
        webhook_secret="replicate_webhook_secret",  # noqa: S106 - the setting's name
    ),
    Row(
        name=FalProvider.name,
        switch="fal_key",
        key="fal_key",
        address="fal_base_url",
        build=lambda access, _: FalProvider(access),
        calls_back=True,
        webhook_keys=lambda settings: f"{settings.fal_rest_url}/.well-known/jwks.json",
    ),
    Row(
        name=DiffusersProvider.name,
        switch="media_diffusers_model",
        address=None,
        build=lambda access, settings: DiffusersProvider(
            access.models, source=str(settings.media_diffusers_model)
        ),
    ),
)
"""In the order in which they are tried where nothing else is said."""

KNOCKS: Final = b"media-pipeline:knocks"
BUILT_IN: Final = ProceduralProvider.name


def build_providers(
    settings: Settings,
    *,
    clock: Clock,
    read_input: ReadInput,
    knocks: Knocks | None = None,
    rows: Sequence[Row] = ROWS,
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
    given = Given(catalogue, clock, read_input, knocks)
    return [
        ProceduralProvider()
        if name == BUILT_IN
        else on[name].build(_access(on[name], settings, given), settings)
        for name in dict.fromkeys(names)
    ]


def build_fleet(
    settings: Settings, providers: Sequence[MediaProvider], *, database: Database, clock: Clock
) -> DatabaseFleet:
    """Build what keeps all workers together within the limits of providers that are elsewhere."""
    remote = [each.name for each in providers if each.name != BUILT_IN]
    return DatabaseFleet(database, clock=clock, limits=dict.fromkeys(remote, settings.media_provider_jobs))


def build_downloads(settings: Settings, *, clock: Clock) -> Downloads:
    """Build what fetches results."""
    return Downloads(
        own=own_origins(settings),
        max_bytes=settings.media_max_result_bytes,
        seconds=settings.media_result_seconds,
        clock=clock,
    )


def build_signer(settings: Settings) -> CredentialSigner | None:
    """Build what signs results, where a certificate is configured; `CannotSign` where it cannot."""
    certificate, key = settings.media_c2pa_certificate, settings.media_c2pa_key
    return CredentialSigner(certificate=certificate, key=key) if certificate and key else None


def build_knocks(line: RedisLine | None) -> Knocks:
    """Build the doors of this process, which with Redis open in the others too."""
    if line is None:
        return Knocks()

    def tell(payload: bytes) -> None:
        if line.link is not None:
            line.link.tell("PUBLISH", KNOCKS, payload)

    knocks = Knocks(tell)
    line.hear(KNOCKS, knocks.hear)
    return knocks


def own_origins(settings: Settings, rows: Sequence[Row] = ROWS) -> frozenset[Origin]:
    """Return where results may lie even if it is private: at the providers, and where the operator says."""
    addresses = [
        getattr(settings, row.address) for row in rows if row.address and getattr(settings, row.switch)
    ]
    return frozenset(origin(url) for url in [*addresses, *settings.media_result_origins] if url)


def _why_off(name: str, rows: Sequence[Row]) -> str:
    switches: Mapping[str, str] = {row.name: row.switch.upper() for row in rows}
    return f"off: set {switches[name]}" if name in switches else "no provider of this release"


def _access(row: Row, settings: Settings, given: Given) -> Access:
    return Access(
        base_url=getattr(settings, row.address) if row.address else "",
        models=given.catalogue.of(row.name),
        key=_secret(settings, row.key),
        clock=given.clock,
        read_input=given.read_input,
        webhook_url=f"{settings.base_url}/webhooks/{row.name}"
        if row.calls_back and not settings.on_loopback
        else None,
        webhook_secret=_secret(settings, row.webhook_secret),
        webhook_keys_url=row.webhook_keys(settings),
        knocks=given.knocks,
    )


def _secret(settings: Settings, name: str | None) -> str:
    value = getattr(settings, name) if name else None
    return value.get_secret_value() if isinstance(value, SecretStr) else ""
