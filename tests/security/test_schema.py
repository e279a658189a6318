"""Schemathesis asks the running program, as two users, what its OpenAPI document allows and forbids."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx2
import pytest
import pytest_asyncio

from tests.integration.program import Running, Scripted, output, picture, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
COMMAND: Final = Path(sys.executable).with_name("schemathesis")
USERS: Final = ("ann", "bob")
ENDLESS: Final = "/events"
"""Its answer never ends by itself; the streams have tests of their own."""


@pytest_asyncio.fixture(loop_scope="session")
async def asked() -> AsyncIterator[Running]:
    """A program with something in it, whose provider answers at once and whose imports find nothing."""
    async with running(providers=[Scripted(scripts=[[output()]])]) as service:
        nothing = httpx2.MockTransport(lambda _: httpx2.Response(404))
        service.program.imports._transport = nothing
        for name in USERS:
            user = service.user(name)
            await user.end(await user.generate())
            await user.upload(picture())
        yield service


async def ask(service: Running, folder: Path, *options: str) -> tuple[int, str]:
    """Run Schemathesis with all checks and both users; return its exit code and its report."""
    users = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": auth}]}
        for name in USERS
        for auth in [service.user(name).headers["Authorization"]]
    ]
    file = folder / "users.json"
    file.write_text(json.dumps({"auth": users}))
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG.read_text("utf-8").replace("${SCHEMA_USERS}", str(file)), "utf-8")
    report = folder / "report.txt"
    with report.open("wb") as out:  # a file, so that what a run said that was broken off can be read
        process = await asyncio.create_subprocess_exec(
            COMMAND, "--config-file", config, "run", f"{service.http.base_url}/openapi.json",
            "--checks", "all", "--continue-on-failure", "--seed", "1", "--exclude-path", ENDLESS, *options,
            cwd=folder, stdout=out, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        code = await process.wait()
    return code, report.read_text("utf-8")


async def test_nothing_is_found_quickly(asked: Running, tmp_path: Path) -> None:
    """A few examples an operation, the document's own, and some sequences of calls."""
    phases = "examples,fuzzing,stateful"
    code, said = await ask(asked, tmp_path, "--max-examples", "2", "--phases", phases, "--no-shrink")
    assert code == 0, said


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
async def test_nothing_is_found_at_length(asked: Running, tmp_path: Path) -> None:
    """1,000 examples an operation."""
    code, said = await ask(asked, tmp_path, "--max-examples", "1000")
    print(said)  # noqa: T201 - the figures
    assert code == 0, said
