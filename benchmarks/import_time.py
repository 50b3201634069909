"""How long a fresh interpreter takes to import the package: wall time of `python -c`, the best of several.

The time of an interpreter that does nothing is taken off, so that each figure is the import alone. "Cold" is the first
import after an installation, when the package has no bytecode yet; "warm" is every later one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import utd_core

from . import AtMost, Baseline, Result

TARGET = AtMost(120.0)
EVERY_NAME = "import utd_core; [getattr(utd_core, name) for name in utd_core.__all__]"


def run() -> list[Result]:
    nothing = best("pass")
    pydantic = Baseline("import pydantic", best("import pydantic") - nothing)
    with tempfile.TemporaryDirectory(prefix="utd-import-") as folder:
        cold = {"PYTHONPATH": copy_without_bytecode(Path(folder)), "PYTHONDONTWRITEBYTECODE": "1"}
        return [
            Result("import utd_core, warm", best("import utd_core") - nothing, "ms", TARGET, pydantic),
            Result("import utd_core, cold", best("import utd_core", cold) - nothing, "ms", TARGET, pydantic),
            Result("touch every public name, warm", best(EVERY_NAME, repeats=3) - nothing, "ms", baseline=pydantic),
            Result(
                "touch every public name, cold", best(EVERY_NAME, cold, repeats=3) - nothing, "ms", baseline=pydantic
            ),
            Result("python -c pass", nothing, "ms"),
        ]


def copy_without_bytecode(folder: Path) -> str:
    source = Path(utd_core.__file__).parent
    shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    return str(folder)


def best(program: str, environment: Mapping[str, str] | None = None, *, repeats: int = 10) -> float:
    """Milliseconds; the first run, which may write bytecode, does not count."""
    return min([measure(program, environment or {}) for _ in range(repeats + 1)][1:])


def measure(program: str, environment: Mapping[str, str]) -> float:
    started = perf_counter()
    subprocess.run([sys.executable, "-c", program], env={**os.environ, **environment}, check=True)
    return (perf_counter() - started) * 1000.0
