"""Bring a program of a Debian package, with the libraries it needs, without installing anything.

    python scripts/debian_packages.py coturn turnserver     print where the program turnserver is

That is the one on PATH, or a launcher of the one in the package, which finds the libraries beside it.

Packages come from whatever sources apt is set up for, checked by apt's own signatures, and in the version of this
machine's release: that is its pin. They are unpacked into the user's cache folder, or into build/ where that cannot be
written. Nothing of the system is changed and nobody needs to be root; what apt notes meanwhile goes into a private
folder.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from kept import kept

PROGRAMS = ("usr/bin", "usr/sbin", "bin", "sbin")
LAUNCHERS = "launchers"
LAUNCHER = """\
#!/bin/sh
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
for place in "$root"/usr/lib/*-linux-* "$root"/lib/*-linux-* "$root/usr/lib" "$root/lib"; do
  LD_LIBRARY_PATH="${{LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}}$place"
done
export LD_LIBRARY_PATH
exec "$root/{program}" "$@"
"""
PATIENCE = 300.0
"""Seconds for one call of apt."""


class NotHere(Exception):
    """This machine has no apt, or apt has no such package; the text says what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package")
    parser.add_argument("program")
    arguments = parser.parse_args()
    try:
        print(find(arguments.program, arguments.package))
    except NotHere as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def find(program: str, package: str) -> str:
    """The path of a program: that on PATH, else the package's. Raises `NotHere`."""
    found = shutil.which(program)
    if found is not None:
        return found
    launcher = unpacked(package) / LAUNCHERS / program
    if not launcher.exists():
        raise NotHere(f"the package {package} holds no program {program}")
    return str(launcher)


def unpacked(package: str) -> Path:
    """The folder that a package and all it needs beyond what is installed are unpacked in. Raises `NotHere`."""
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise NotHere(f"{package} is not installed and cannot be brought: no {missing[0]} here. Install {package}.")
    return kept(f"debian-{package}-{release()}-{platform.machine()}", lambda folder: bring(package, folder))


def bring(package: str, folder: Path) -> Path:
    """Download into a folder and unpack into its `root`, which is the answer."""
    try:
        wanted = needed(package, [])
        options: list[str] = []
    except NotHere:
        # A fresh machine knows no packages yet; asking for their lists takes root, but not with lists of one's own.
        options = private_lists(folder)
        wanted = needed(package, options)
    packages = folder / "packages"
    packages.mkdir()
    apt(["download", *wanted], options, where=packages)
    root = folder / "root"
    for file in sorted(packages.glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", file, root], check=True)
    launchers = root / LAUNCHERS
    launchers.mkdir()
    for place in PROGRAMS:
        for program in (root / place).glob("*"):
            launcher = launchers / program.name
            launcher.write_text(LAUNCHER.format(program=f"{place}/{program.name}"), encoding="utf-8")
            launcher.chmod(0o755)
    return root


def needed(package: str, options: Sequence[str]) -> list[str]:
    """A package and those that it needs and that are not installed."""
    plan = apt(["install", "--simulate", "--no-install-recommends", "--no-upgrade", package], options)
    packages = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    if package not in packages:
        packages.append(package)
    return packages


def private_lists(folder: Path) -> list[str]:
    """Options with which apt keeps what it knows in a folder, after it has asked its sources."""
    places = {"Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache"}
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    options = [f"--option={name}={path}" for name, path in places.items()]
    # It would hand the downloads to a user of its own, who may not enter the folder.
    options += ["--option=APT::Sandbox::User=", "--option=Debug::NoLocking=true"]
    apt(["update"], options)
    return options


def apt(command: Sequence[str], options: Sequence[str], where: Path | None = None) -> str:
    done = subprocess.run(
        ["apt-get", "--quiet", "--option=APT::Sandbox::User=", *options, *command],
        cwd=where,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if done.returncode != 0:
        raise NotHere(f"apt-get {' '.join(command)} failed:\n{done.stdout[-1_000:]}{done.stderr[-1_000:]}")
    return done.stdout


def release() -> str:
    """Such as `debian-12`."""
    try:
        about = platform.freedesktop_os_release()
    except OSError:
        return "unknown"
    return f"{about.get('ID', 'unknown')}-{about.get('VERSION_ID', 'rolling')}"


if __name__ == "__main__":
    sys.exit(main())
