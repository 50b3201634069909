"""The four distributions, built once for the whole run and installed once into an environment of their own."""

from __future__ import annotations

import runpy
import subprocess
import sys
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from functools import cache
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
PACKAGES = ("utd_core", "utd_livekit", "utd_mock", "utd_webrtc_p2p")


@dataclass(frozen=True)
class Wheel:
    """A wheel file and the package that it carries."""

    path: Path
    package: str

    @property
    def files(self) -> frozenset[str]:
        """Paths inside, without those that carry the version in their name."""
        with ZipFile(self.path) as archive:
            return frozenset(name for name in archive.namelist() if ".dist-info/" not in name)

    @property
    def metadata(self) -> Message:
        return Parser().parsestr(self.dist_info("METADATA"))

    def dist_info(self, name: str) -> str:
        """Text of a file in the wheel's `.dist-info` folder."""
        with ZipFile(self.path) as archive:
            (path,) = (each for each in archive.namelist() if each.endswith(f".dist-info/{name}"))
            return archive.read(path).decode()


@cache
def environment() -> dict[str, str]:
    """The one that `make setup` runs uv in: the same index, certificates and so on."""
    found: dict[str, str] = runpy.run_path(str(ROOT / "scripts" / "bootstrap.py"))["uv_environment"]()
    return found


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that has to succeed; the failure shows what it said."""
    ran = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{' '.join(map(str, command))}\n{ran.stdout}\n{ran.stderr}"
    return ran


def build(out: Path, *flags: str) -> dict[str, Wheel]:
    # Without isolation: the build backend is the pinned one that is installed here, so nothing is downloaded.
    backend = ("--no-build-isolation", "--python", sys.executable)
    run(UV, "build", "--quiet", "--all-packages", *flags, *backend, "--out-dir", out, cwd=ROOT)
    return {path.name.split("-")[0]: Wheel(path, path.name.split("-")[0]) for path in sorted(out.glob("*.whl"))}


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Wheel]:
    """By package name: the wheels that `make wheels` makes, each out of its own sdist."""
    return build(tmp_path_factory.mktemp("from-sdist"))


@pytest.fixture(scope="session")
def wheels_from_tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Wheel]:
    """By package name: wheels built straight from this tree."""
    return build(tmp_path_factory.mktemp("from-tree"), "--wheel")


@dataclass(frozen=True)
class Installation:
    """A clean environment that holds wheels and what they require, and nothing of this source tree."""

    home: Path

    @property
    def python(self) -> Path:
        return self.home / "bin" / "python"

    def run(self, program: str, *arguments: str) -> str:
        """What a program of the environment prints; it has to succeed."""
        return run(self.home / "bin" / program, *arguments, cwd=self.home).stdout


def install(home: Path, *requirements: str | Path) -> Installation:
    run(UV, "venv", "--quiet", "--python", sys.executable, home, cwd=home.parent)
    installed = Installation(home)
    pins = ("--constraint", ROOT / "requirements.lock")
    run(UV, "pip", "install", "--quiet", "--python", installed.python, *pins, *requirements, cwd=home.parent)
    return installed


@pytest.fixture(scope="session")
def installation(wheels: dict[str, Wheel], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """All four wheels."""
    return install(tmp_path_factory.mktemp("all-four") / "venv", *(wheel.path for wheel in wheels.values()))


@pytest.fixture(scope="session")
def core_alone(wheels: dict[str, Wheel], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The core without extras and plugins: what a dependency of a dependency would bring along is not there."""
    return install(tmp_path_factory.mktemp("core-alone") / "venv", wheels["utd_core"].path)


@pytest.fixture(scope="session")
def core_and_pytest(wheels: dict[str, Wheel], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The core beside somebody's own pytest, without the extra `testing`."""
    return install(tmp_path_factory.mktemp("core-and-pytest") / "venv", wheels["utd_core"].path, "pytest")


@pytest.fixture(params=PACKAGES)
def wheel(request: pytest.FixtureRequest, wheels: dict[str, Wheel]) -> Wheel:
    return wheels[request.param]
