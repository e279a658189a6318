"""The command `media-pipeline`. Errors go to stderr in one line; exit codes are 0, 1 and 2.

What serves HTTP is imported where it is used: a worker starts in nearly half the time without it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import get_args
from urllib.parse import quote

from media_pipeline import __version__
from media_pipeline.db.migrate import migrate
from media_pipeline.doctor import examine
from media_pipeline.engines import build_database, open_database
from media_pipeline.environment import SettingsError, read_settings, read_shared_settings
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import UserId
from media_pipeline.media.erase import Erased
from media_pipeline.media.reindex import Verdict
from media_pipeline.parts import DEV, SERVE, TEND, Role
from media_pipeline.program import Program
from media_pipeline.remote import Remote
from media_pipeline.settings import Settings
from media_pipeline.telemetry import configure_logging
from media_pipeline.tracing import CannotTrace, switched_on
from media_pipeline.worker_process import work

FAILED, WRONG_USAGE = 1, 2
PROGRESS_EVERY = 1000
CARRIER = "MEDIA_TOKEN"
"""Where a command beside a service finds a token of a foreign issuer; arguments are seen by everyone."""
Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = build_parser().parse_args(argv)
    command: Command = arguments.command
    try:
        return command(arguments)
    except (SettingsError, CannotTrace) as error:
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
    service = _add(commands, "serve", _serve, "serve HTTP and event streams, and leave the jobs to workers")
    for listening in (dev, service):
        listening.add_argument("--port", type=int, help="instead of PORT; 0 takes a free one")
    worker = _add(commands, "worker", _worker, "run jobs, without listening anywhere")
    worker.add_argument("--concurrency", type=int, metavar="N", help="instead of MEDIA_CONCURRENCY")
    worker.add_argument("--drain", action="store_true", help="end when no job waits or runs any more")
    migrating = _add(commands, "migrate", _migrate, "bring the database of DATABASE_URL up to this release")
    migrating.add_argument(
        "--after", action="store_true", help="also what must wait until no process of the last release runs"
    )
    token = _add(commands, "token", _token, "print a development token")
    token.add_argument("--user", required=True, type=_user, help="the `sub` of the token")
    _add(commands, "openapi", _openapi, "print the OpenAPI document")
    _add(commands, "doctor", _doctor, "check settings, store, database and providers")
    _add(commands, "reindex", _reindex, "make library rows of stored objects that have none")
    erasing = _add(commands, "erase", _erase, "delete everything of one user, for good")
    erasing.add_argument("--user", required=True, type=_user, help="the `sub` of their tokens")
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
        verb.add_argument("--user", default="studio", help=f"whose jobs; a token in {CARRIER} says so itself")
        if name != "list":
            verb.add_argument("job_id", metavar="JOB_ID")
        if name == "retry":
            verb.add_argument("--accept-charge", action="store_true", help="though the first may be charged")


def _dev(arguments: argparse.Namespace) -> int:
    return _listen(read_settings(**_given(port=arguments.port)), DEV)


def _serve(arguments: argparse.Namespace) -> int:
    return _listen(read_shared_settings(**_given(port=arguments.port)), SERVE)


def _worker(arguments: argparse.Namespace) -> int:
    settings = read_shared_settings(**_given(media_concurrency=arguments.concurrency))
    configure_logging(settings.media_log, level=settings.media_log_level)
    with switched_on():
        work(settings, drain=arguments.drain, on_ready=partial(_say_at_work, settings.media_concurrency))
    return 0


def _given(**options: object) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not None}


def _listen(settings: Settings, roles: frozenset[Role]) -> int:
    from media_pipeline.server import serve  # noqa: PLC0415 - see above

    configure_logging(settings.media_log, level=settings.media_log_level)
    with switched_on():
        serve(settings, roles=roles, on_ready=_say_hello)
    return 0


def _say_hello(address: str) -> None:
    print(f"Media Pipeline is at {address}  (stop with Ctrl+C)", flush=True)


def _say_at_work(slots: int, worker_id: str) -> None:
    print(f"Worker {worker_id} runs {slots} jobs at once  (stop with Ctrl+C)", flush=True)


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
        raise SettingsError("AUTH_JWT_SECRET or AUTH_JWKS_URL: is set, so tokens come from your own issuer")
    print(_issue(settings, arguments.user))
    return 0


def _issue(settings: Settings, user: str, *, seconds: int = 30 * 24 * 3600) -> str:
    from media_pipeline.app import build_tokens  # noqa: PLC0415 - see above

    return build_tokens(settings).issue(UserId(user), seconds=seconds)


def _openapi(_: argparse.Namespace) -> int:
    from media_pipeline.app import create_app  # noqa: PLC0415 - see above

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


def _reindex(_: argparse.Namespace) -> int:
    settings = read_settings()
    if settings.durable_store is None:
        raise SettingsError("STORAGE_DIR: name a folder or a bucket; what memory keeps ends with the program")
    return asyncio.run(_give_rows(Program(settings)))


async def _give_rows(program: Program) -> int:
    counts: Counter[Verdict] = Counter()
    try:
        await open_database(program.settings, program.database)
        async for looked in program.reindexer.run():
            counts[looked.verdict] += 1
            if looked.reason:
                print(f"{looked.verdict}: {looked.path}: {looked.reason}", file=sys.stderr)
            if counts.total() % PROGRESS_EVERY == 0:
                print(_tally(counts), flush=True)
    finally:
        await program.stop()
    print(f"done: {_tally(counts)}")
    return FAILED if counts["failed"] else 0


def _erase(arguments: argparse.Namespace) -> int:
    settings = read_settings()
    if settings.durable_store is None or not (settings.database_server or settings.database_path):
        raise SettingsError("STORAGE_DIR: name a folder or a bucket; what memory keeps ends with the program")
    configure_logging(settings.media_log, level="warning")
    erased = asyncio.run(_forget_user(Program(settings, roles=TEND), arguments.user))
    print(f"erased: {erased.jobs:,} jobs, {erased.items:,} items, {erased.objects:,} objects")
    return 0


async def _forget_user(program: Program, user_id: UserId) -> Erased:
    await program.start()
    try:
        return await program.eraser.erase(user_id)
    finally:
        await program.stop()


def _tally(counts: Counter[Verdict]) -> str:
    each = ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in get_args(Verdict))
    return f"{counts.total():,} objects: {each}"


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
    token = os.environ.get(CARRIER)
    if token is None:
        if settings.auth_jwks_url is not None:
            raise SettingsError(f"{CARRIER}: is missing; with AUTH_JWKS_URL only your issuer makes tokens")
        token = _issue(settings, arguments.user, seconds=60)
    return Remote(settings.base_url, token)


def _complain(message: str, code: int) -> int:
    print(f"media-pipeline: {' '.join(message.split())}", file=sys.stderr)
    return code
