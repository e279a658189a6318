"""The models of every provider, as data: `models/*.toml` here, and a file of the user's own over them.

A file holds one array of tables a provider; an entry's `id` and `kind` say which model it is, its other
fields are those of `ModelInfo`. A user's entry changes the fields it names or adds a model;
`enabled = false` removes one.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec

from media_pipeline.errors import MediaPipelineError
from media_pipeline.generation.provider import ModelInfo

Entry = Mapping[str, Any]
Entries = Mapping[str, Sequence[Entry]]
_FIELDS: Final = frozenset(field.name for field in fields(ModelInfo)) | {"enabled"}


class CatalogueError(MediaPipelineError):
    """A catalogue cannot be read; the message names the file and the entry."""


class Catalogue:
    """Every known model by its provider, in the order in which it would be chosen."""

    def __init__(self, models: Mapping[str, Sequence[ModelInfo]]) -> None:
        self._models = models

    @classmethod
    def load(cls, own: Path | None = None) -> Catalogue:
        """Read the packaged models, and over them the file `own` (TOML, or JSON by its name)."""
        merged: dict[str, dict[tuple[str, str], Entry]] = {}
        _merge(merged, _packaged(), where="the packaged catalogue")
        if own is not None:
            _merge(merged, _read(own), where=str(own))
        return cls(
            {
                provider: tuple(
                    _model(entry, provider) for entry in entries.values() if entry.get("enabled", True)
                )
                for provider, entries in merged.items()
            }
        )

    def of(self, provider: str) -> Sequence[ModelInfo]:
        """Return the models of `provider`, none where it has no entry."""
        return self._models.get(provider, ())


def _packaged() -> Entries:
    folder = files("media_pipeline.generation").joinpath("models")
    found: dict[str, Sequence[Entry]] = {}
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        found |= tomllib.loads(file.read_text("utf-8"))
    return found


def _read(path: Path) -> Entries:
    try:
        text = path.read_text("utf-8")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise CatalogueError(f"{path} cannot be read: {error}.") from error
    if not isinstance(found, dict) or not all(_is_entries(entries) for entries in found.values()):
        raise CatalogueError(f"{path} must hold one array of models a provider, such as [[replicate]].")
    return found


def _is_entries(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _merge(merged: dict[str, dict[tuple[str, str], Entry]], entries: Entries, *, where: str) -> None:
    for provider, models in entries.items():
        known = merged.setdefault(provider, {})
        for entry in models:
            if unknown := sorted(entry.keys() - _FIELDS):
                raise CatalogueError(f"{where}: {provider} {entry.get('id')} has no field {unknown[0]!r}.")
            key = _place(known, entry, f"{where}: an entry of {provider}")
            known[key] = {**known.get(key, {}), **entry}


def _place(known: Mapping[tuple[str, str], Entry], entry: Entry, what: str) -> tuple[str, str]:
    """Find which model an entry is about; its kind may be left out where only one is known."""
    if not isinstance(entry.get("id"), str):
        raise CatalogueError(f"{what} has no id.")
    kinds = [entry["kind"]] if "kind" in entry else [kind for id_, kind in known if id_ == entry["id"]]
    if len(kinds) != 1:
        raise CatalogueError(f"{what}, {entry['id']!r}, must say its kind.")
    return entry["id"], str(kinds[0])


def _model(entry: Entry, provider: str) -> ModelInfo:
    fields_ = {"label": entry["id"], **{name: value for name, value in entry.items() if name != "enabled"}}
    try:
        return msgspec.convert(fields_, ModelInfo)
    except msgspec.ValidationError as error:
        raise CatalogueError(f"The model {entry['id']!r} of {provider} is not right: {error}.") from error
