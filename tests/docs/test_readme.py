"""The README is true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT

README = (ROOT / "README.md").read_text("utf-8")
WALK = re.search(r"^## The walk$(.*?)^## ", README, re.MULTILINE | re.DOTALL)


def test_the_walk_works_as_it_is_written(service: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    """A newcomer who pastes the walk's lines into a shell gets to its end."""
    assert WALK is not None
    blocks = re.findall(r"^```sh\n(.*?)^```$", WALK[1], re.MULTILINE | re.DOTALL)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    address, env = service
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        env={**env, "API": address, "PYTHONWARNINGS": "error", "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert next(tmp_path.glob("*/harbour.png")).read_bytes().startswith(b"\x89PNG")
    assert next(tmp_path.glob("*/waves.mp4")).read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link of the project's pages names a file that is there."""
    text = (ROOT / page).read_text("utf-8")
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text)
    assert [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()] == []
