"""The reference pages name everything there is."""

from __future__ import annotations

import re
from pathlib import Path

from media_pipeline.api.problems import STATUS_BY_CODE
from media_pipeline.generation.provider import ErrorCode
from media_pipeline.settings import Settings
from media_pipeline.storage.tickets import Refusal

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src/media_pipeline").rglob("*.py"))


def quoted(page: str) -> set[str]:
    """Return what a page sets in code type."""
    return set(re.findall(r"`([^`\n]+)`", (ROOT / "docs" / page).read_text("utf-8")))


def test_every_setting_is_documented_with_its_meaning() -> None:
    """A setting that the program reads stands in the settings page under its name."""
    text = (ROOT / "docs/settings.md").read_text("utf-8")
    missing = [
        name
        for name, field in Settings.model_fields.items()
        if f"| `{name.upper()}` | {field.description} |" not in text
    ]
    assert missing == []


def test_every_error_code_is_documented() -> None:
    """A code that an answer or a failed job can carry stands in the errors page."""
    raised = {
        code
        for source in SOURCES
        for code in re.findall(r'Problem\(\s*\d+,\s*"(\w+)"', source.read_text("utf-8"))
    }
    failures = {
        code
        for source in SOURCES
        for code in re.findall(r'Failure\(\s*code="(\w+)"', source.read_text("utf-8"))
    }
    assert raised
    assert failures
    codes = raised | failures | set(STATUS_BY_CODE) | set(ErrorCode) | set(Refusal)
    assert {str(code) for code in codes} - quoted("errors.md") == set()
