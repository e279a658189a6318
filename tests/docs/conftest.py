"""What tests of pages share."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Run the program as `make dev` does and give its address and its environment."""
    env = {**os.environ, "PORT": "0", "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [str(ROOT / ".venv/bin/media-pipeline"), "dev"]
    process = subprocess.Popen(
        command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    address = re.search(r"http://\S+", process.stdout.readline())
    assert address is not None
    yield address[0], env
    process.terminate()
    process.wait(20)
    process.stdout.close()
