"""Make `.venv` ready: bring uv where it is missing, then install the pinned packages and this workspace.

    python3 scripts/bootstrap.py                  all of it
    python3 scripts/bootstrap.py uv ARGUMENTS     only bring uv, and run it

Needs Python 3.11 and nothing else. uv comes, in this order, from PATH, from an earlier run (a private environment in
the user's cache folder), or from pip, at the version that `requirements.lock` pins. Safe to run again, as root or not.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
OLDEST_UV = (0, 5)
"""First release with every option that is used here."""

PIP_TO_UV = {
    "cert": "SSL_CERT_FILE",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "extra-index-url": "UV_INDEX",
    "index-url": "UV_DEFAULT_INDEX",
    "timeout": "UV_HTTP_TIMEOUT",
}
"""Who prepared this machine for pip, by variables or in pip.conf, has prepared it for uv."""


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] != "uv":
        print(__doc__)
        return 2
    os.environ.update(uv_environment())
    try:
        uv = find_uv()
        if arguments:
            run(uv, *arguments[1:])
        else:
            install(uv)
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        print(f"setup: this command failed with status {error.returncode}: {command}", file=sys.stderr)
        return 1
    return 0


def uv_environment() -> dict[str, str]:
    """The environment to run uv in: this one, with what pip knows about the network where uv was told nothing."""
    # The interpreter under a virtual environment: one that uv made has no pip to ask.
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    pip = [base if base.exists() else sys.executable, "-m", "pip"]
    said = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False)
    settings = re.findall(r"^\S+\.([\w-]+)='(.*)'$", said.stdout, re.MULTILINE)  # no pip: no settings
    translated = {PIP_TO_UV[name]: value for name, value in settings if name in PIP_TO_UV}
    return {"UV_PYTHON_DOWNLOADS": "never", **translated, **os.environ}


def find_uv() -> Path:
    """A uv that runs here, brought first where there is none."""
    on_path = shutil.which("uv")
    if on_path is not None and (version_of(Path(on_path)) or (0,)) >= OLDEST_UV:
        return Path(on_path)
    pinned = re.search(r"^uv==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is not None, "requirements.lock pins uv"
    home = cache_folder() / f"uv-{pinned[1]}-py{sys.version_info[0]}.{sys.version_info[1]}"
    uv = home / "bin" / "uv"
    if version_of(uv) is None:
        print(f"setup: bringing uv {pinned[1]} into {home}", file=sys.stderr)
        bring_uv(home, f"uv=={pinned[1]}")
    return uv


def bring_uv(home: Path, requirement: str) -> None:
    """Install uv with pip, in an environment of its own; a distribution may have split off `venv` or pip."""
    shutil.rmtree(home, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", home], capture_output=True, text=True, check=False)
    if made.returncode == 0:
        run(home / "bin" / "python", "-m", "pip", "install", "--quiet", requirement)
        return
    shutil.rmtree(home, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        run(sys.executable, "-m", "pip", "install", "--quiet", "--target", home, requirement)
        return
    sys.exit(
        f"setup: {sys.executable} can neither make a virtual environment nor run pip, and uv is not on PATH.\n"
        "Install one of the three and run this again: `apt-get install python3-venv` (Debian, Ubuntu), "
        "`dnf install python3-pip` (Fedora), or uv itself."
    )


def install(uv: Path) -> None:
    """Install exactly what `requirements.lock` pins, then the workspace itself, editable."""
    python = VENV / "bin" / "python"
    if not usable(python):
        run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV)
    pip: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python]
    run(*pip, "--requirement", LOCK)
    members = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
    editable = [argument for member in (ROOT, *members) for argument in ("--editable", member)]
    run(*pip, "--no-deps", "--no-build-isolation", *editable)  # the lock holds the build backend too
    run(uv, "pip", "check", "--quiet", "--python", python)


def usable(python: Path) -> bool:
    if not python.exists():
        return False
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0


def version_of(uv: Path) -> tuple[int, ...] | None:
    """The version that this executable says it is, or None when it does not run."""
    try:
        said = subprocess.run([uv, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    numbers = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, numbers.groups())) if numbers else None


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "utd-core"


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
