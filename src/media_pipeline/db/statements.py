"""SQL as text: one statement each, with a name and a sentence, loaded from `.sql` files.

A statement begins with `-- name: claim`; the comment lines that follow say what it does. Parameters
are written `:name`. What SQLite and servers must say differently stands in a file for each. On a server
one that is named `-- name: insert rows` takes each parameter as an array, so that many are one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

_PARAM = re.compile(r"(?<![:\w]):([a-z_]+)")
_HEADER = re.compile(r"^-- name: *([a-z_]+)( rows)? *$", re.MULTILINE)


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One named SQL statement; `sqlite` is what SQLite reads where servers' text is not for it.

    With `rows` a server takes many rows at once, each parameter as an array.
    """

    name: str
    text: str
    sqlite: str = ""
    rows: bool = False


def load_dialects(package: str, stem: str) -> Mapping[str, Statement]:
    """Read `stem.sql` and what both `stem.sqlite.sql` and `stem.postgres.sql` say, each in its own way."""
    sqlite = load_statements(package, f"{stem}.sqlite.sql")
    postgres = load_statements(package, f"{stem}.postgres.sql")
    if sqlite.keys() != postgres.keys():
        raise ValueError(f"{sorted(sqlite.keys() ^ postgres.keys())} stand for one database only.")
    both = {name: replace(each, sqlite=sqlite[name].text) for name, each in postgres.items()}
    return {**load_statements(package, f"{stem}.sql"), **both}


def load_statements(package: str, file: str) -> Mapping[str, Statement]:
    """Read every statement of a `.sql` file that ships inside `package`."""
    return parse_statements(files(package).joinpath(file).read_text("utf-8"))


def parse_statements(text: str) -> Mapping[str, Statement]:
    """Split a file's text at its `-- name:` lines; ValueError on a name that comes twice."""
    parts = _HEADER.split(text)[1:]
    found: dict[str, Statement] = {}
    for name, rows, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if name in found:
            raise ValueError(f"The statement {name!r} stands twice.")
        found[name] = Statement(name, _strip(body), rows=bool(rows))
    return found


def _strip(body: str) -> str:
    lines = [line for line in body.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines).strip().rstrip(";")


def number_params(text: str, constants: Mapping[str, str]) -> tuple[str, Sequence[str]]:
    """Write `:name` as `$1`, `$2`… and return whose they are; `constants` are written in instead."""
    names = list(dict.fromkeys(name for name in _PARAM.findall(text) if name not in constants))
    written = {name: f"${place}" for place, name in enumerate(names, start=1)} | dict(constants)
    return _PARAM.sub(lambda match: written[match[1]], text), names
