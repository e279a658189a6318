"""Every block of code on every page is run or compiled, or known to be only shown, and then no invention."""

from __future__ import annotations

import asyncio
import glob
import re
import shlex
import subprocess
from typing import Any, Final

import pytest

from media_pipeline.cli import build_parser
from media_pipeline.settings import Settings
from tests.docs.pages import PAGES, ROOT, Block, list_blocks

RUN: Final = {("README.md", "sh"), ("docs/try.md", "python"), ("docs/python.md", "python")}
"""What `test_readme.py` and this file run."""
COMPILED: Final = {"ts", "tsx"}
"""What `npm run snippets` compiles, in CI by `make test-web`."""
SHOWN: Final = {
    "ARCHITECTURE.md": "drawings",
    "README.md": "the commands that run this test, and settings of other machines",
    "deploy/gcs/README.md": "needs Google",
    "docs/kubernetes.md": "needs a cluster",
    "docs/operations.md": "needs a server",
    "docs/try.md": "needs pipx; tests/acceptance/test_wheel.py does the same without it",
    "examples/react-app/README.md": "`make example` does it in a browser",
}
"""Why blocks without a language are on these pages."""
BLOCKS: Final = [block for page in PAGES for block in list_blocks(page)]
ELSEWHERE: Final = {"VITE_MEDIA_TOKEN", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"}
"""Variables that others read: Vite, OpenTelemetry."""


def compiled_pages() -> set[str]:
    script = (ROOT / "web/scripts/snippets.mjs").read_text("utf-8")
    listed = re.search(r"^const pages = \[(.*?)\];", script, re.MULTILINE | re.DOTALL)
    assert listed is not None
    patterns = re.findall(r"'([^']+)'", listed[1])
    found = [page for each in patterns for page in glob.glob(each, root_dir=ROOT, recursive=True)]  # noqa: PTH207
    return set(found)


def is_proved(block: Block) -> bool:
    if block.language in COMPILED:
        return block.page in compiled_pages()
    return (block.page, block.language) in RUN or (not block.language and block.page in SHOWN)


def test_every_block_is_run_compiled_or_known_to_be_shown() -> None:
    """A block that nobody would miss if it were wrong is not on a page."""
    assert [(each.page, each.code) for each in BLOCKS if not is_proved(each)] == []
    assert {each.page for each in BLOCKS if not each.language} == SHOWN.keys()


@pytest.mark.parametrize("page", SHOWN)
def test_what_is_only_shown_names_what_there_is(page: str) -> None:
    """Commands, targets of make and variables in a shown block are ones that the project has."""
    code = "".join(block.code for block in list_blocks(page) if not block.language).replace("\\\n", " ")
    for line in re.findall(
        r"(?:^|[\s/(])media-pipeline ((?:[a-z-]+ ?)(?:--?[\w-]+ ?\w*)?)", code, re.MULTILINE
    ):
        if page != "ARCHITECTURE.md" and line.split()[0] in commands():
            build_parser().parse_args(shlex.split(line))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)) <= set(targets)
    named = set(re.findall(r"\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)=", code))
    assert named <= {name.upper() for name in Settings.model_fields} | ELSEWHERE


def commands() -> set[str]:
    return set(re.findall(r"^    ([a-z]+) ", build_parser().format_help(), re.MULTILINE))


def test_the_first_steps_work_as_they_are_written(service: tuple[str, dict[str, str]], tmp_path: Any) -> None:
    """A newcomer who runs the tutorial's file has a picture."""
    (block,) = [each for each in list_blocks("docs/try.md") if each.language == "python"]
    address, env = service
    done = subprocess.run(
        [ROOT / ".venv/bin/python", "-c", block.code],
        env={**env, "API": address, "PATH": f"{ROOT / '.venv/bin'}:{env['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "generation_complete" in done.stdout
    assert (tmp_path / "harbour.png").read_bytes().startswith(b"\x89PNG")


async def test_the_parts_work_as_a_library(capsys: pytest.CaptureFixture[str]) -> None:
    """The page of the library does what it says, with a store and without one."""
    blocks = [each.code for each in list_blocks("docs/python.md") if each.language == "python"]
    module: dict[str, Any] = {}
    exec("\n".join(blocks), module)
    await module["keep"]()
    kept = await module["paint"](module["store"])
    assert kept["items"][0]["path"] == "media/ann/images/j2_0.png"
    assert await module["store"].list("media/ann/images/")
    passed = await module["paint"](None)
    assert passed["items"][0]["url"].startswith("data:image/png;base64,")
    assert "ann generation_progress" in capsys.readouterr().out
    assert await asyncio.to_thread(module["open_bucket"]) is not None
