"""The reference pages name everything there is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

from media_pipeline.api.problems import STATUS_BY_CODE
from media_pipeline.app import create_app
from media_pipeline.environment import read_settings
from media_pipeline.generation.provider import ErrorCode
from media_pipeline.program import Program
from media_pipeline.realtime.events import Event
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


def missing(names: Iterable[str], page: str) -> list[str]:
    """Return the names that a page does not set in code type; an example alone explains nothing."""
    code = "\n".join(quoted(page))
    return [name for name in names if not re.search(rf"\b{name}\b", code)]


def test_every_endpoint_is_documented_and_no_other() -> None:
    """The page of HTTP names what the service answers, and nothing else."""
    answered = {
        f"{method.upper()} {re.sub(r'{.*?}', '{}', path)}"
        for path, operations in create_app(Program(read_settings())).openapi()["paths"].items()
        for method in operations
    }
    text = (ROOT / "docs/http.md").read_text("utf-8")
    cells = " ".join(re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE))
    documented = {re.sub(r"{.*?}", "{}", each) for each in re.findall(r"`([A-Z]+ /[^`]*)`", cells)}
    assert answered - documented == set()
    assert documented - answered == UNDESCRIBED


UNDESCRIBED: Final = {
    *("GET /", "GET /docs", "GET /openapi.json", "GET /studio/token"),
    *("GET /m/{}", "HEAD /m/{}"),
}
"""Pages and their token; addresses of a bucket, which this program has none of."""


@pytest.mark.parametrize(
    "schema", ["GenerateImage", "GenerateVideo", "UploadInit", "ImportMedia", "MediaUsage"]
)
def test_every_field_of_a_request_is_documented(schema: str) -> None:
    """What can be said in a body stands beside its endpoint."""
    fields = create_app(Program(read_settings())).openapi()["components"]["schemas"][schema]["properties"]
    assert missing(fields, "http.md") == []


def events() -> Iterator[type[Event]]:
    classes = [Event]
    for each in classes:
        classes.extend(each.__subclasses__())
        if hasattr(each, "name"):
            yield each


def test_every_event_is_documented_with_its_data() -> None:
    """The page of events has a row for each, with exactly the fields that it carries."""
    text = (ROOT / "docs/events.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| ?([^|]*)\|$", text, re.MULTILINE))
    carried = {each.name: set(each.__struct_encode_fields__) for each in events()}
    assert len(carried) == 16
    assert {name: set(re.findall(r"`(\w+)`", rows[name])) for name in carried} == carried
    assert rows.keys() - carried.keys() == {"ready", "reset"}


def exported(package: str, pattern: str) -> list[str]:
    """Return the values that a web package's `index.ts` hands on and whose name fits."""
    text = (ROOT / "web/packages" / package / "src/index.ts").read_text("utf-8")
    names = [
        name.strip()
        for group in re.findall(r"export \{(.*?)\}", text, re.DOTALL)
        for name in group.split(",")
    ]
    return [name for name in names if re.fullmatch(pattern, name)]


def fields_of(file: Path, interface: str) -> list[str]:
    """Return the fields that an interface in a TypeScript file has of its own."""
    pattern = rf"^export (?:interface|type) {interface}\b[^{{]*{{\n(.*?)^}}"
    found = re.search(pattern, file.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None, interface
    return re.findall(r"^  (?:readonly )?(\w+)\??[(:<]", found[1], re.MULTILINE)


@pytest.mark.parametrize("component", exported("ui", r"[A-Z]\w+"))
def test_every_component_is_documented_with_its_props(component: str) -> None:
    """Each component that the package hands on has a page, an example, and each of its props in it."""
    special = {"UiProvider": ("Styles.tsx", "UiSettings")}
    file, props = special.get(component, (f"{component}.tsx", f"{component}Props"))
    fields = fields_of(ROOT / "web/packages/ui/src" / file, props)
    assert fields
    assert missing([component, *fields], f"components/{component}.md") == []
    assert "```tsx" in (ROOT / f"docs/components/{component}.md").read_text("utf-8")


HOOKS: Final = {
    "useGenerate": ("hooks/useGenerate.md", [("useGenerate.ts", "Generation")]),
    "useJob": ("hooks/useJob.md", [("useJobs.ts", "JobView")]),
    "useJobs": ("hooks/useJob.md", [("useJobs.ts", "JobsView")]),
    "useJobEvents": ("hooks/useJobEvents.md", [("useJobEvents.ts", "JobEvents")]),
    "useMediaLibrary": ("hooks/useMediaLibrary.md", [("useMediaLibrary.ts", "MediaLibraryView")]),
    "useMediaUpload": ("hooks/useMediaUpload.md", [("upload.ts", "UploadsState"), ("uploads.ts", "Uploads")]),
    "useMediaUsage": ("hooks/useMediaUsage.md", [("usage.ts", "UsageState")]),
}
"""The page of each hook, and where TypeScript says what it gives."""


@pytest.mark.parametrize("hook", exported("realtime", r"use[A-Z]\w+"))
def test_every_hook_is_documented_with_what_it_gives(hook: str) -> None:
    """Each hook that the package hands on has a page and an example, with all it gives."""
    page, types = HOOKS[hook]
    source = ROOT / "web/packages/realtime/src"
    gives = {field for file, name in types for field in fields_of(source / file, name)}
    assert gives
    assert missing([hook, *sorted(gives)], page) == []
    assert "```tsx" in (ROOT / "docs" / page).read_text("utf-8")
