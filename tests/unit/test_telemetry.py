"""What the log never says."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import structlog
from media_pipeline.telemetry import configure_logging

configure_logging({style!r})

def work(prompt, token):
    raise ValueError("it broke")

try:
    work("a secret prompt", "eyJ-a-token")
except ValueError as error:
    structlog.get_logger().error("job.run_failed", exc_info=error)
"""


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_traceback_shows_no_variables(style: str) -> None:
    """An exception in the log says where it broke, and nothing of what was in the variables."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(style=style)], capture_output=True, text=True, check=True
    )
    assert "it broke" in done.stderr
    assert "secret prompt" not in done.stderr
    assert "eyJ-a-token" not in done.stderr
