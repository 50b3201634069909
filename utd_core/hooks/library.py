"""A check that plugins share: does a library really import here?"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

from .check import Check

DEADLINE = 20.0
"""Seconds; a media library may read its native parts from a cold disk."""


def check_library(module: str, *, distribution: str) -> Check:
    """Whether `module` of `distribution` imports, for `utd_doctor`.

    The import happens in an interpreter of its own. To find the files is not enough: a native library can be broken
    in ways that only loading it shows (a missing shared object, a wrong processor), and it may crash doing so.
    """
    remedy = f"pip install --force-reinstall {distribution}"
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return Check(module, ok=False, detail="not installed", remedy=f"pip install {distribution}")
    try:
        ran = subprocess.run(
            [sys.executable, "-c", f"import {module}"], capture_output=True, text=True, timeout=DEADLINE, check=False
        )
    except subprocess.TimeoutExpired:
        return Check(module, ok=False, detail=f"{version} does not import within {DEADLINE:.0f} s", remedy=remedy)
    if ran.returncode:
        said = ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"]
        return Check(module, ok=False, detail=f"{version} does not import: {said[-1]}", remedy=remedy)
    return Check(module, ok=True, detail=version)
