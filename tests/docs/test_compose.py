"""`deploy/compose.yaml` is not run here; it is read, and what it says of the program is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from media_pipeline.cli import build_parser
from media_pipeline.environment import read_settings
from media_pipeline.settings import Settings

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
READ_BY_CLIENTS: Final = {"STORAGE_EMULATOR_HOST", "GCS_SERVICE_ACCOUNT_JSON"}
"""Names of the contract's that a storage client reads."""
PROGRAM: Final = ("service1", "service2", "worker1", "worker2", "migrate")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    return found


def test_every_variable_is_a_setting(services: dict[str, Any]) -> None:
    """A variable that a process of ours is given is one that the program reads."""
    known = {name.upper() for name in Settings.model_fields} | READ_BY_CLIENTS
    given = {name for service in PROGRAM for name in services[service]["environment"]}
    assert given
    assert given - known == set()


def test_every_command_exists(services: dict[str, Any]) -> None:
    """What a container is told to run is a command of the program, and there are two of each kind."""
    commands = [build_parser().parse_args(services[name]["command"]).command.__name__ for name in PROGRAM]
    assert commands == ["_serve", "_serve", "_worker", "_worker", "_migrate"]


def test_values_are_accepted(services: dict[str, Any]) -> None:
    """The values are ones that the program starts with, the bucket aside."""
    for name in PROGRAM:
        given = {key.lower(): value for key, value in services[name]["environment"].items()}
        given |= {"gcs_bucket": None, "storage_dir": "/srv", "auth_jwt_secret": "s" * 32}
        settings = read_settings(**given)
        assert settings.database_server is not None
        assert settings.database_server.startswith("postgresql://root@roach1,roach2,roach3:26257/")
        assert settings.redis is not None


def test_processes_share_every_setting_but_where_they_listen(services: dict[str, Any]) -> None:
    """Services and workers are given the same, so they mean the same database, bus and bucket."""
    shared = [
        {key: value for key, value in services[name]["environment"].items() if key not in {"HOST", "PORT"}}
        for name in PROGRAM
    ]
    assert all(one == shared[0] for one in shared)


def test_what_is_waited_for_is_there(services: dict[str, Any]) -> None:
    """Every dependency is a service, and every mounted file of ours exists."""
    for service in services.values():
        assert set(service.get("depends_on", ())) <= services.keys()
        for volume in service.get("volumes", ()):
            if volume.startswith("./"):
                assert (DEPLOY / volume.split(":")[0]).is_file()
    assert re.search("NOT RUN", (DEPLOY / "compose.yaml").read_text("utf-8"))


def test_the_throwaway_key_can_sign(tmp_path: Path) -> None:
    """`make_account.py` writes a key file that Google's own library takes."""
    from google.oauth2.service_account import Credentials  # noqa: PLC0415 - only here

    file = tmp_path / "key.json"
    subprocess.run([sys.executable, DEPLOY / "make_account.py", file], check=True, env={**os.environ})
    signer = Credentials.from_service_account_file(str(file))
    assert len(signer.sign_bytes(b"anything")) == 256
