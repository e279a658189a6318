"""What is handed on works where nothing of the checkout is: wheel, sdist and the two web packages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

ROOT: Final = Path(__file__).parents[2]
UV: Final = ("sh", str(ROOT / "scripts/uv.sh"))
WEB_PACKAGES: Final = ("realtime", "ui")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build wheel, sdist and locked requirements as `make wheel` does."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(["sh", ROOT / "scripts/package.sh", out], check=True, cwd=out)
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@dataclass(frozen=True)
class Installed:
    """The wheel in an environment of its own, beside nothing: no checkout, no Node, no setting."""

    environment: dict[str, str]
    folder: Path
    bin: Path

    def run(self, *command: str) -> str:
        """Run a command there and return what it printed."""
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            env=self.environment,
            cwd=self.folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=100,
        )
        return done.stdout.strip()


@pytest.fixture(scope="module")
def installed(dist: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install as docs/operations.md says: what is locked by its hashes, then the wheel alone."""
    home = tmp_path_factory.mktemp("home")
    python = home / "venv/bin/python"
    pip = [*UV, "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run([*UV, "venv", "--quiet", "--python", sys.executable, home / "venv"], check=True)
    subprocess.run([*pip, "--require-hashes", "-r", dist / "requirements.txt"], check=True)
    subprocess.run([*pip, "--no-deps", wheel], check=True)
    environment = {"PATH": str(python.parent), "HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    empty = home / "empty"
    empty.mkdir()
    return Installed(environment, empty, python.parent)


@pytest.fixture
def address(installed: Installed) -> Iterator[str]:
    """Run `media-pipeline dev` in the empty folder and give its address."""
    process = subprocess.Popen(
        [installed.bin / "media-pipeline", "dev", "--port", "0"],
        env=installed.environment,
        cwd=installed.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        said = process.stdout.readline()
        try:
            found = re.search(r"http://\S+", said)
            assert found is not None, said
            yield found[0]
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.timeout(400)  # it builds and installs first, and everything is compiled anew
def test_the_installed_wheel_makes_a_picture(installed: Installed, address: str) -> None:
    """Without checkout and Node `media-pipeline dev` runs a job, serves its picture and the studio."""
    assert shutil.which("node", path=installed.environment["PATH"]) is None
    home = installed.run("python", "-c", "import media_pipeline; print(media_pipeline.__file__)")
    assert Path(home).is_relative_to(installed.bin.parent)
    bearer = {"Authorization": f"Bearer {installed.run('media-pipeline', 'token', '--user', 'ann')}"}
    with httpx2.Client(base_url=address, headers=bearer, trust_env=False, timeout=60) as http:
        job = http.post("/generate/image", json={"prompt": "a harbour"}).json()["jobId"]
        with http.stream("GET", "/events", params={"jobId": job}) as events:
            assert "event: generation_complete" in events.iter_lines()
        (item,) = http.get(f"/jobs/{job}").json()["result"]["items"]
        assert http.get(item["url"]).content.startswith(b"\x89PNG")
        page = http.get("/")
        script = re.search(r'src="\./(assets/[^"]+\.js)"', page.text)
        assert script is not None
        assert http.get(f"/{script[1]}").status_code == 200
    assert list(installed.folder.iterdir()) == []


def read_metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Licence, page, extras and the command of the same name, for `pipx run media-pipeline dev`."""
    said = read_metadata(wheel)
    assert (said["Name"], said["License-Expression"]) == ("media-pipeline", "Apache-2.0")
    assert said["Description-Content-Type"] == "text/markdown"
    assert str(said.get_payload()).startswith("# Media Pipeline")
    assert set(said.get_all("Provides-Extra", ())) == {"c2pa", "diffusers", "heic", "otel", "vips"}
    with zipfile.ZipFile(wheel) as archive:
        entries = {name.partition(".dist-info/")[2]: name for name in archive.namelist()}
        assert "licenses/LICENSE" in entries
        points = archive.read(entries["entry_points.txt"]).decode()
    assert "media-pipeline = media_pipeline.cli:main" in points


def test_the_wheel_carries_every_file_of_the_program(wheel: Path) -> None:
    """Whatever stands in the source folder (SQL, Lua, models) is in the wheel, the studio beside it."""
    source = ROOT / "src"
    mine = {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert {name for name in mine if "__pycache__" not in name and "/studio/" not in name} <= packed
    assert {"media_pipeline/studio/index.html", "media_pipeline/studio/licenses.md"} <= packed
    assert not [name for name in packed if "test" in Path(name).parts or "node_modules" in name]


def test_the_sdist_builds_the_same_wheel(dist: Path, wheel: Path) -> None:
    """The sdist carries the licence and the built studio, so a wheel of it needs no Node."""
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2].removeprefix("src/") for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        wanted = {name for name in archive.namelist() if name.startswith("media_pipeline/")}
    assert wanted <= packed
    assert {"LICENSE", "README.md", "pyproject.toml"} <= packed


@pytest.mark.parametrize("name", WEB_PACKAGES)
def test_a_web_package_carries_types_licence_and_readme(name: str) -> None:
    """All that its `exports` name is in the tarball, with the types, the page and the project's licence."""
    folder = ROOT / "web/packages" / name
    (packed,) = pack(folder)
    files = {file["path"] for file in packed["files"]}
    described = json.loads((folder / "package.json").read_text("utf-8"))
    named = {
        target.removeprefix("./") for entry in described["exports"].values() for target in entry.values()
    }
    assert named | {"LICENSE", "README.md", "package.json"} <= files
    assert not [file for file in files if "test" in Path(file).parts or file.endswith(".tsbuildinfo")]
    assert described["license"] == "Apache-2.0"
    assert (folder / "LICENSE").read_text("utf-8") == (ROOT / "LICENSE").read_text("utf-8")


def pack(folder: Path) -> list[dict[str, Any]]:
    npm = Path(sys.executable).with_name("npm")
    answer = subprocess.run(
        [npm, "pack", "--dry-run", "--json", "--silent"],
        cwd=folder,
        env={**os.environ, "PATH": f"{npm.parent}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
        text=True,
    )
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found
