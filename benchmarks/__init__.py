"""Figures of this package, each beside a baseline measured on the same machine in the same minute.

    python -m benchmarks                     all of them, as a table
    python -m benchmarks import_time --json  some of them; the last line of stdout is one JSON object

A benchmark is a module of this package with a function `run() -> list[Result]`; the first line of its docstring says
what it measures. Each runs in a process of its own. The exit status is 1 when a target is missed or a benchmark fails.
"""

from __future__ import annotations

from .result import AtLeast, AtMost, Baseline, Result

__all__ = ["AtLeast", "AtMost", "Baseline", "Result"]
