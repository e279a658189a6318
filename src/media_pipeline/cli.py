"""The command `media-pipeline`. Errors go to stderr in one line; exit codes are 0, 1 and 2."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from urllib.parse import quote

from media_pipeline import __version__
from media_pipeline.app import Program, build_database, build_tokens, create_app
from media_pipeline.db.migrate import migrate
from media_pipeline.doctor import examine
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import UserId
from media_pipeline.remote import Remote
from media_pipeline.server import serve
from media_pipeline.settings import Settings, SettingsError, read_settings
from media_pipeline.telemetry import configure_logging

FAILED, WRONG_USAGE = 1, 2
Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = build_parser().parse_args(argv)
    command: Command = arguments.command
    try:
        return command(arguments)
    except SettingsError as error:
        return _complain(str(error), WRONG_USAGE)
    except (MediaPipelineError, OSError) as error:
        return _complain(str(error), FAILED)
    except KeyboardInterrupt:
        return FAILED


def build_parser() -> argparse.ArgumentParser:
    """Describe every command and its options."""
    parser = argparse.ArgumentParser(
        prog="media-pipeline",
        description="Images and video as durable jobs; settings are environment variables.",
    )
    parser.add_argument("--version", action="version", version=f"media-pipeline {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    dev = _add(commands, "dev", _dev, "run service, worker and studio page in one process")
    dev.add_argument("--port", type=int, help="instead of PORT; 0 takes a free one")
    migrating = _add(commands, "migrate", _migrate, "bring the database of DATABASE_URL up to this release")
    migrating.add_argument(
        "--after", action="store_true", help="also what must wait until no process of the last release runs"
    )
    token = _add(commands, "token", _token, "print a development token")
    token.add_argument("--user", required=True, type=_user, help="the `sub` of the token")
    _add(commands, "openapi", _openapi, "print the OpenAPI document")
    _add(commands, "doctor", _doctor, "check settings, store, database and providers")
    _add_jobs(commands)
    return parser


def _user(text: str) -> UserId:
    if not text:
        raise argparse.ArgumentTypeError("a user has a name")
    return UserId(text)


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, command: Command, text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=command)
    return parser


def _add_jobs(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    jobs = commands.add_parser("jobs", help="look at jobs of a running service and steer them")
    verbs = jobs.add_subparsers(required=True, metavar="VERB")
    for name, command, text in (
        ("list", _jobs_list, "list a user's jobs, newest first"),
        ("show", _jobs_show, "show one job"),
        ("retry", _jobs_retry, "do an ended job again"),
        ("cancel", _jobs_cancel, "stop a job"),
    ):
        verb = _add(verbs, name, command, text)
        verb.add_argument("--user", default="studio", help="whose jobs (development tokens)")
        if name != "list":
            verb.add_argument("job_id", metavar="JOB_ID")
        if name == "retry":
            verb.add_argument("--accept-charge", action="store_true", help="though the first may be charged")


def _dev(arguments: argparse.Namespace) -> int:
    given = {} if arguments.port is None else {"port": arguments.port}
    settings = read_settings(**given)
    configure_logging(settings.media_log)
    serve(settings, on_ready=_say_hello)
    return 0


def _say_hello(address: str) -> None:
    print(f"Media Pipeline is at {address}  (stop with Ctrl+C)", flush=True)


def _migrate(arguments: argparse.Namespace) -> int:
    settings = read_settings()
    if settings.database_server is None and settings.database_path is None:
        raise SettingsError("DATABASE_URL: name a server or a file; memory needs no migration")
    for name in asyncio.run(_apply(settings, after=arguments.after)):
        print(f"applied {name}")
    return 0


async def _apply(settings: Settings, *, after: bool) -> list[str]:
    if settings.database_path:
        settings.database_path.parent.mkdir(parents=True, exist_ok=True)
    database = build_database(settings)
    try:
        await database.open()
        return await migrate(database, after=after)
    finally:
        await database.aclose()


def _token(arguments: argparse.Namespace) -> int:
    settings = read_settings()
    if not settings.development:
        raise SettingsError("AUTH_JWT_SECRET: is set, so tokens come from your own issuer")
    print(build_tokens(settings).issue(UserId(arguments.user)))
    return 0


def _openapi(_: argparse.Namespace) -> int:
    settings = read_settings(storage_dir=None, database_url=None)  # nothing of a running service is touched
    print(json.dumps(create_app(Program(settings)).openapi(), indent=2))
    return 0


def _doctor(_: argparse.Namespace) -> int:
    return asyncio.run(_report(read_settings()))


async def _report(settings: Settings) -> int:
    findings = [finding async for finding in examine(settings)]
    for finding in findings:
        print(f"{'ok  ' if finding.problem is None else 'FAIL'} {finding.subject}: {finding.detail}")
        if finding.problem:
            print(f"     {finding.problem}")
    return FAILED if any(finding.problem for finding in findings) else 0


def _jobs_list(arguments: argparse.Namespace) -> int:
    remote, query = _remote(arguments), "limit=200"
    while query:
        page = remote.get(f"/jobs?{query}")
        for job in page["jobs"]:
            print(f"{job['jobId']}  {job['kind']:<15} {job['state']:<10} {job['createdAt']}")
        query = f"limit=200&cursor={page['nextCursor']}" if page["nextCursor"] else ""
    return 0


def _jobs_show(arguments: argparse.Namespace) -> int:
    print(json.dumps(_remote(arguments).get(_path_of(arguments)), indent=2))
    return 0


def _jobs_retry(arguments: argparse.Namespace) -> int:
    charge = "?acceptCharge=true" if arguments.accept_charge else ""
    print(_remote(arguments).post(f"{_path_of(arguments)}/retry{charge}")["jobId"])
    return 0


def _jobs_cancel(arguments: argparse.Namespace) -> int:
    print(_remote(arguments).post(f"{_path_of(arguments)}/cancel")["jobId"])
    return 0


def _path_of(arguments: argparse.Namespace) -> str:
    return f"/jobs/{quote(arguments.job_id, safe='')}"


def _remote(arguments: argparse.Namespace) -> Remote:
    settings = read_settings()
    return Remote(settings.base_url, build_tokens(settings).issue(UserId(arguments.user), seconds=60))


def _complain(message: str, code: int) -> int:
    print(f"media-pipeline: {' '.join(message.split())}", file=sys.stderr)
    return code
