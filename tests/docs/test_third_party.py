"""What the program is made of is listed, and may be used as it is used."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/third-party.md").read_text("utf-8")
FIT: Final = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MIT-CMU"),
    *("LGPL-3.0-only", "MPL-2.0", "PSF-2.0", "Unicode-3.0", "Zlib"),
}
"""Licences that ask to keep a notice, or to let an unchanged library be exchanged."""


def is_fit(expression: str) -> bool:
    """Tell whether an SPDX expression without brackets leaves a choice among `FIT`."""
    return all(FIT & set(part.split(" OR ")) for part in expression.split(" AND "))


def test_every_package_is_listed_with_a_fit_licence() -> None:
    """The page is what `make licences` writes, and nothing in it asks for more than the project can give."""
    script = [sys.executable, str(ROOT / "scripts/licences.py"), "--print"]
    rows = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    licences = dict(re.findall(r"^\| (\S+) \| (.+) \|$", rows, re.MULTILINE))
    assert {"fastapi", "psycopg-binary"} <= licences.keys()
    assert {name: said for name, said in licences.items() if not is_fit(said)} == {}
    assert PAGE.endswith(rows), "run `make licences`"


def test_a_strong_copyleft_is_refused() -> None:
    """A licence that the project cannot follow is none that the test lets pass, alone or beside others."""
    assert not is_fit("GPL-3.0-or-later")
    assert not is_fit("MIT AND AGPL-3.0-only")
    assert is_fit("GPL-2.0-only OR MIT")


def test_every_native_library_is_listed_beside_its_wheel() -> None:
    """A library that a wheel of the program carries is named in that wheel's row."""
    rows = dict(re.findall(r"^\| (\S+) \| (.*`lib.*) \|.*\|$", PAGE, re.MULTILINE))
    assert rows
    packages = Path(sysconfig.get_path("platlib"))
    for name, row in rows.items():
        named = re.findall(r"`(lib[^`]+)`", row)
        carried = {file.name.split("-")[0] for file in packages.glob(f"{name.replace('-', '_')}.libs/*")}
        known = tuple(each.rstrip("*") for each in named)
        assert {library for library in carried if not library.startswith(known)} == set()
