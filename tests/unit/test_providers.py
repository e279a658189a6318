"""Settings switch providers on; the table says which."""

from __future__ import annotations

import pytest

from media_pipeline.clock import SystemClock
from media_pipeline.environment import SettingsError, read_settings
from media_pipeline.generation.provider import InputMedia
from media_pipeline.generation.providers.access import Access
from media_pipeline.providers import ROWS, Row, build_providers
from media_pipeline.settings import Settings
from tests.unit.generation.scripted import Scripted


class Adapter(Scripted):
    """Remembers what it was given."""

    def __init__(self, access: Access, name: str) -> None:
        super().__init__(name=name)
        self.access = access


def row(name: str, *, calls_back: bool = False) -> Row:
    return Row(
        name=name,
        switch="replicate_api_token" if name == "first" else "fal_key",
        key="replicate_api_token" if name == "first" else "fal_key",
        address="replicate_base_url",
        build=lambda access, _: Adapter(access, name),
        calls_back=calls_back,
    )


TABLE = [row("first", calls_back=True), row("second")]


async def nothing(image: InputMedia) -> bytes:
    raise AssertionError(image)


def names(**given: object) -> list[str]:
    settings = read_settings(**given)
    found = build_providers(settings, clock=SystemClock(), read_input=nothing, rows=TABLE)
    return [each.name for each in found]


def built(settings: Settings) -> list[Adapter]:
    found = build_providers(settings, clock=SystemClock(), read_input=nothing, rows=TABLE)
    return [each for each in found if isinstance(each, Adapter)]


def test_without_keys_the_built_in_serves() -> None:
    """With no settings at all there is one provider, and it needs nothing."""
    assert names() == ["procedural"]


def test_a_key_switches_its_provider_on() -> None:
    """A key alone is enough, and from then on no demo stands in for a real model."""
    assert names(fal_key="k") == ["second"]
    assert names(fal_key="k", replicate_api_token="t") == ["first", "second"]


def test_the_operator_names_who_serves_and_in_which_order() -> None:
    """`MEDIA_PROVIDERS` is the list, the first to try first."""
    keys = {"fal_key": "k", "replicate_api_token": "t"}
    assert names(**keys, media_providers="second, first,procedural") == ["second", "first", "procedural"]
    assert names(**keys, media_providers="second") == ["second"]


@pytest.mark.parametrize(
    ("name", "said"), [("second", "off: set FAL_KEY"), ("secnod", "no provider of this release")]
)
def test_a_name_that_cannot_serve_stops_the_start(name: str, said: str) -> None:
    """A name that is not switched on, or misspelt, is told in one line."""
    with pytest.raises(SettingsError, match=f"MEDIA_PROVIDERS: {name} is {said}"):
        names(media_providers=name)


def test_an_adapter_gets_its_address_and_key() -> None:
    """An adapter is given where and how to ask, and its key never shows when it is printed."""
    [adapter] = built(read_settings(fal_key="hush", replicate_base_url="http://127.0.0.1:1/"))
    assert (adapter.access.base_url, adapter.access.key) == ("http://127.0.0.1:1", "hush")
    assert "hush" not in repr(adapter.access)


def test_no_webhook_is_registered_on_loopback() -> None:
    """A provider is told to call back only where it can reach us."""
    key = {"replicate_api_token": "t"}
    assert built(read_settings(**key))[0].access.webhook_url is None
    public = read_settings(**key, public_url="https://media.example.com", auth_jwt_secret="x" * 32)
    assert built(public)[0].access.webhook_url == "https://media.example.com/webhooks/first"


def test_every_row_names_settings_that_exist() -> None:
    """The table's settings are real ones."""
    for each in ROWS:
        assert {name for name in (each.switch, each.address, each.key) if name} <= set(Settings.model_fields)
