"""Write the licences of what the program needs into docs/third-party.md, as pip-licenses tells them.

With `--print` the rows are printed and nothing is written.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/third-party.md"
HEAD = "| package | licence |\n|---|---|\n"
SOURCES = ("License-Expression", "License-Metadata", "License-Classifier")
SPELT = {  # as SPDX spells what these packages say in words of their own
    "Apache 2.0": "Apache-2.0",
    "BSD": "BSD-2-Clause",
    "MIT License": "MIT",
}


def list_packages() -> list[str]:
    """Return what uv.lock names for the program without its extras, for every platform."""
    uv = ["sh", "scripts/uv.sh", "export", "--quiet", "--locked", "--no-dev", "--no-emit-project"]
    lines = _read([*uv, "--no-hashes", "--no-annotate", "--no-header"]).splitlines()
    return [line.partition("==")[0] for line in lines]


def list_licences() -> list[tuple[str, str]]:
    """Return each package that is installed here and its licence, in SPDX's spelling."""
    asked = ["--from=all", "--format=json", "--with-system", "--packages", *list_packages()]
    told = json.loads(_read([str(Path(sys.executable).with_name("pip-licenses")), *asked]))
    return sorted((each["Name"].lower().replace("_", "-"), _licence(each)) for each in told)


def _licence(told: dict[str, str]) -> str:
    said = next(told[source] for source in SOURCES if told[source] != "UNKNOWN")
    return SPELT.get(said, said)


def _read(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Write the page's last table anew."""
    rows = "".join(f"| {name} | {licence} |\n" for name, licence in list_licences())
    if "--print" in sys.argv[1:]:
        sys.stdout.write(rows)
        return
    before, head, _ = PAGE.read_text("utf-8").partition(HEAD)
    PAGE.write_text(f"{before}{head}{rows}", "utf-8")


if __name__ == "__main__":
    main()
