"""The command line: help, settings, and the commands that need no service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from media_pipeline.app import build_tokens
from media_pipeline.cli import main
from media_pipeline.environment import read_settings
from media_pipeline.settings import Settings
from tests.acceptance.process import run

COMMANDS = (
    "",
    "dev",
    "serve",
    "worker",
    "migrate",
    "token",
    "openapi",
    "doctor",
    "reindex",
    "jobs",
    "jobs list",
    "jobs show",
    "jobs retry",
    "jobs cancel",
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the machine's settings and state."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` prints what a command does and exits 0."""
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert f"usage: media-pipeline {command}".strip() in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["", "dance", "jobs", "jobs show", "token", "dev --port x", "worker --port 1"]
)
def test_wrong_usage_is_exit_code_two(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What the command line does not understand is told on stderr with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    assert ended.value.code == 2
    assert "media-pipeline" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"PORT": "abc"}, "PORT"),
        ({"PORT": "70000"}, "PORT"),
        ({"HOST": "0.0.0.0"}, "HOST"),
        ({"HOST": "::"}, "HOST"),
        ({"HOST": "example.org"}, "HOST"),
        ({"DATABASE_URL": "mysql://root@db/jobs"}, "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite://", "STORAGE_DIR": "/tmp/x"}, "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite:///", "STORAGE_DIR": "/tmp/x"}, "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite:///:memory:", "STORAGE_DIR": "/tmp/x"}, "DATABASE_URL"),
        ({"GCS_BUCKET": "a", "STORAGE_DIR": "/tmp/x"}, "GCS_BUCKET and STORAGE_DIR"),
        ({"GCS_BUCKET": "a", "S3_BUCKET": "b"}, "GCS_BUCKET and S3_BUCKET"),
        ({"S3_BUCKET": "a"}, "S3_BUCKET needs AWS_ACCESS_KEY_ID"),
        ({"REDIS_URL": "http://localhost"}, "REDIS_URL"),
        ({"AUTH_JWT_SECRET": "short"}, "AUTH_JWT_SECRET"),
        ({"MEDIA_CONCURRENCY": "0"}, "MEDIA_CONCURRENCY"),
        ({"MEDIA_LEASE_SECONDS": "soon"}, "MEDIA_LEASE_SECONDS"),
        ({"MEDIA_LOG": "yaml"}, "MEDIA_LOG"),
        ({"MEDIA_PING_SECONDS": "inf"}, "MEDIA_PING_SECONDS"),
        ({"MEDIA_KEEP_JOBS_SECONDS": "60"}, "MEDIA_KEEP_JOBS_SECONDS"),
        ({"MEDIA_CONCURENCY": "9"}, "MEDIA_CONCURENCY"),
        ({"MEDIA_URLS": "public"}, "MEDIA_PUBLIC_BASE_URL"),
        ({"MEDIA_URLS": "signed"}, "MEDIA_URLS"),
        ({"MEDIA_URLS": "public", "MEDIA_PUBLIC_BASE_URL": "https://cdn.example"}, "MEDIA_URLS=public"),
        ({"MEDIA_PUBLIC_BASE_URL": "https://cdn.example"}, "MEDIA_PUBLIC_BASE_URL"),
        ({"MEDIA_URL_SECRET": "short"}, "MEDIA_URL_SECRET"),
        ({"GCS_BUCKET": "a", "AUTH_JWKS_URL": "https://issuer.example/keys"}, "MEDIA_URL_SECRET"),
        ({"PUBLIC_URL": "media.example.com"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://media.example.com"}, "PUBLIC_URL"),
        ({"STORAGE_EMULATOR_HOST": "ftp://localhost"}, "STORAGE_EMULATOR_HOST"),
        ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS"),
        ({"CORS_ORIGINS": "https://a.example/page"}, "CORS_ORIGINS"),
    ],
)
def test_a_wrong_setting_is_named(
    variables: dict[str, str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Settings that cannot work stop the start with exit code 2 and one line that names the variable."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["dev", *(() if "PORT" in variables else ("--port", "0"))]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert named in told.err
    assert told.err.count("\n") == 1
    assert all(value not in told.err for name, value in variables.items() if "SECRET" in name)


SHARED = {"DATABASE_URL": "postgresql://db/media", "REDIS_URL": "redis://cache", "STORAGE_DIR": "/srv/media"}


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("lacking", [*([name] for name in SHARED), list(SHARED)])
def test_serving_and_working_apart_needs_what_both_share(
    command: str,
    lacking: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without a shared database, Redis or store, `serve` and `worker` end with 2 and name what is missing."""
    for name, value in SHARED.items():
        if name not in lacking:
            monkeypatch.setenv(name, value)
    if lacking == ["DATABASE_URL"]:
        monkeypatch.setenv("DATABASE_URL", "sqlite:////srv/media/jobs.db")
    assert main([command]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert {name for name in SHARED if name in told} == set(lacking)


def test_a_worker_without_slots_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--concurrency` is checked as the setting is."""
    assert main(["worker", "--concurrency", "0"]) == 2
    assert "MEDIA_CONCURRENCY" in capsys.readouterr().err


def test_an_empty_variable_is_an_unset_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`GCS_BUCKET=` names no bucket."""
    for name in ("GCS_BUCKET", "DATABASE_URL", "AUTH_JWT_SECRET", "STORAGE_DIR"):
        monkeypatch.setenv(name, "")
    assert main(["token", "--user", "ann"]) == 0
    assert capsys.readouterr().out.count(".") == 2


@pytest.mark.parametrize("host", ["localhost:4443", "http://localhost:4443/"])
def test_an_emulator_is_named_as_other_clients_name_it(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`STORAGE_EMULATOR_HOST` may have a scheme or none."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    assert read_settings().storage_emulator_host == "http://localhost:4443"


def test_a_token_is_accepted_wherever_it_was_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command of one user agrees on the secret, the issuer and the audience."""
    monkeypatch.setenv("AUTH_ISSUER", "us")
    monkeypatch.setenv("AUTH_AUDIENCE", "them")
    assert main(["token", "--user", "ann"]) == 0
    token = capsys.readouterr().out.strip()
    identity = build_tokens(read_settings()).verify(token)
    assert identity
    assert identity.user_id == "ann"


def test_a_production_service_makes_no_tokens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a configured secret tokens come from its issuer alone."""
    monkeypatch.setenv("AUTH_JWT_SECRET", "x" * 32)
    assert main(["token", "--user", "ann"]) == 2
    assert "AUTH_JWT_SECRET" in capsys.readouterr().err


def test_the_development_secret_is_nobody_elses(tmp_path: Path) -> None:
    """The file of the secret is readable by its user alone and stays the same."""
    main(["token", "--user", "ann"])
    file = tmp_path / "state" / "media-pipeline" / "development-secret"
    before = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(before) >= 32
    main(["token", "--user", "ann"])
    assert file.read_text() == before
    assert [found.name for found in file.parent.iterdir()] == [file.name]


def test_an_unwritable_folder_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the file system refuses is exit code 1 and one line, not a traceback."""
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    assert main(["token", "--user", "ann"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_migrate_is_done_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`migrate` says what it applied; again there is nothing to do; memory needs none."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/deep/jobs.db")
    assert main(["migrate"]) == 0
    assert "applied" in capsys.readouterr().out
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.delenv("DATABASE_URL")
    assert main(["migrate"]) == 2
    assert "DATABASE_URL" in capsys.readouterr().err


def test_what_memory_keeps_is_not_indexed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a store that outlives the program `reindex` has nothing to look at, and says so."""
    assert main(["reindex"]) == 2
    assert "STORAGE_DIR" in capsys.readouterr().err


def test_openapi_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """`openapi` prints the document and nothing else."""
    assert main(["openapi"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "/generate/image" in document["paths"]


def test_the_doctor_tries_everything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`doctor` looks at database, store and providers, and leaves nothing behind."""
    monkeypatch.setenv("STORAGE_DIR", str(tmp_path / "store"))
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "ok   database",
        "ok   store",
        "ok   provider procedural",
    ]


def test_the_doctor_says_what_to_mend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What does not work is exit code 1 and a sentence."""
    monkeypatch.setenv("DATABASE_URL", "sqlite:////dev/null/jobs.db")
    assert main(["doctor"]) == 1
    assert "FAIL database" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["jobs list", "jobs show x", "jobs retry x", "jobs cancel x"])
def test_without_a_service_the_cli_says_so(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody answers, a command that asks by HTTP is exit code 1 and one line."""
    monkeypatch.setenv("PUBLIC_URL", "http://127.0.0.1:9")
    assert main(command.split()) == 1
    told = capsys.readouterr().err
    assert "http://127.0.0.1:9" in told
    assert told.count("\n") == 1


def test_the_installed_command_keeps_the_exit_codes(tmp_path: Path) -> None:
    """What `main` returns is what the shell sees."""
    assert run(tmp_path, "--version").returncode == 0
    wrong = run(tmp_path, "dev", host="0.0.0.0")
    assert (wrong.returncode, wrong.stderr.count("\n"), wrong.stdout) == (2, 1, "")
