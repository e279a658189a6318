"""Reading the settings: environment variables, read once and checked together before anything starts."""

from __future__ import annotations

import os
from typing import Final

from pydantic import ValidationError

from media_pipeline.agreement import find_disagreement
from media_pipeline.settings import Settings

OTHER_NAMES: Final = frozenset({"MEDIA_FAILPOINT", "MEDIA_TOKEN"})
"""Variables with our prefix that are no settings."""


class SettingsError(Exception):
    """A setting is wrong; the message is one line that names it."""


def read_settings(**given: object) -> Settings:
    """Read the environment; `given` wins over it. Raises `SettingsError`."""
    _check_names()
    try:
        settings = Settings(**given)  # type: ignore[arg-type] # pydantic checks what it is given
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        message = str(first["msg"]).removeprefix("Value error, ")
        raise SettingsError(f"{name}: {message}" if name else message) from None
    if problem := find_disagreement(settings):
        raise SettingsError(problem)
    return settings


def read_shared_settings(**given: object) -> Settings:
    """Read the settings of a process that has others beside it; `SettingsError` names what they lack."""
    settings = read_settings(**given)
    lacking = [
        name
        for name, value in (
            ("DATABASE_URL=cockroachdb://… or postgresql://…", settings.database_server),
            ("REDIS_URL", settings.redis_url),
            ("GCS_BUCKET, S3_BUCKET or STORAGE_DIR", settings.durable_store),
        )
        if value is None
    ]
    if lacking:
        raise SettingsError(f"processes that serve and work apart also need {' and '.join(lacking)}")
    return settings


def _check_names() -> None:
    """Refuse a misspelt setting, which would be ignored without a word."""
    known = {name.upper() for name in Settings.model_fields} | OTHER_NAMES
    for name in os.environ:
        if name.startswith("MEDIA_") and name not in known:
            raise SettingsError(f"{name}: there is no such setting in this release; see docs/settings.md")
