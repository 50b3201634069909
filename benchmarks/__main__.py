"""`python -m benchmarks [NAME ...] [--json]`; what it does stands in the package's docstring."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import benchmarks

from .result import show

NOT_BENCHMARKS = {"__main__", "result"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one benchmark reported, or how it failed."""

    benchmark: str
    results: tuple[dict[str, Any], ...] = ()
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.error is None and all(result["met"] is not False for result in self.results)

    def as_json(self) -> dict[str, Any]:
        return {"benchmark": self.benchmark, "results": list(self.results), "error": self.error}


def main() -> int:
    names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    names = [name for name in names if name not in NOT_BENCHMARKS and not name.startswith("_")]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=benchmarks.__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run (default: all of {', '.join(names)})")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(names))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(names)}")
    if arguments.in_process:
        results = importlib.import_module(f"benchmarks.{arguments.names[0]}").run()
        print(json.dumps([result.as_json() for result in results]))
        return 0

    outcomes = []
    for name in arguments.names or names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        outcomes.append(measure(name))
    if arguments.json:
        print(json.dumps({"machine": machine(), "benchmarks": [outcome.as_json() for outcome in outcomes]}))
    else:
        show_table(outcomes)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def measure(name: str) -> Outcome:
    """Run one benchmark in its own process: no heap, import or thread of another one colours it."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, "--in-process"], stdout=subprocess.PIPE, text=True, check=False
    )
    if ran.returncode:
        return Outcome(name, error=f"exit status {ran.returncode}; what it said is above")
    return Outcome(name, results=tuple(json.loads(ran.stdout.splitlines()[-1])))


def machine() -> dict[str, str | int | None]:
    return {"python": platform.python_version(), "platform": platform.platform(terse=True), "cores": os.cpu_count()}


def show_table(outcomes: list[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    here = machine()
    table = Table(title=f"Python {here['python']}, {here['cores']} cores, {here['platform']}", title_style="dim")
    table.add_column("benchmark")
    table.add_column("what")
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    table.add_column("baseline")
    table.add_column("ratio", justify="right", no_wrap=True)
    verdict = {True: "[green]✓[/] ", False: "[red]✗[/] ", None: ""}
    for outcome in outcomes:
        if outcome.error is not None:
            table.add_row(outcome.benchmark, f"[red]{outcome.error}[/]")
        for index, result in enumerate(outcome.results):
            baseline, ratio = result["baseline"], result["ratio"]
            table.add_row(
                outcome.benchmark if index == 0 else "",
                result["name"],
                f"{show(result['figure'])} {result['unit']}",
                verdict[result["met"]] + (result["target"] or ""),
                f"{baseline['name']}: {show(baseline['figure'])} {result['unit']}" if baseline else "",
                f"{ratio:.2f}" if ratio is not None else "",
            )
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
