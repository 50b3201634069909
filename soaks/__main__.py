"""`python -m soaks [NAME ...] [--minutes 60] [--json]`; what it does stands in the package's docstring."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import pkgutil
import subprocess
import sys
import traceback

import soaks

from .watch import HOUR, Report, Verdict, Watch

NOT_SOAKS = {"__main__", "watch"}


def names() -> list[str]:
    """All there are."""
    found = sorted(module.name for module in pkgutil.iter_modules(soaks.__path__))
    return [name for name in found if name not in NOT_SOAKS and not name.startswith("_")]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m soaks", description=(soaks.__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run (default: {', '.join(names())})")
    parser.add_argument("--minutes", type=float, default=HOUR, help="how long each one takes (default: %(default)g)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(names())):
        parser.error(f"no such soak: {', '.join(unknown)}; there are {', '.join(names())}")
    if not arguments.minutes > 0:
        parser.error("--minutes must be above 0")
    if arguments.in_process:
        print(json.dumps(run(arguments.names[0], arguments.minutes).as_json()))
        return 0

    reports = []
    for name in arguments.names or names():
        print(f"{name}, {arguments.minutes:g} min ...", file=sys.stderr, flush=True)
        reports.append(run_apart(name, arguments.minutes))
        if not arguments.json:
            show(reports[-1])
    if arguments.json:
        print(json.dumps({"soaks": [report.as_json() for report in reports]}))
    return 0 if all(report.ok for report in reports) else 1


def run(name: str, minutes: float) -> Report:
    """Run one here, in a loop of its own; one that fails is reported with what was seen until then."""
    module = importlib.import_module(f"soaks.{name}")
    watch = Watch(minutes, module.FIGURES)
    error = None
    try:
        asyncio.run(module.soak(watch))
    except Exception as failure:  # noqa: BLE001  # whatever a soak fails with is what it reports
        traceback.print_exc()
        error = f"{type(failure).__name__}: {failure}"
    try:
        verdicts = tuple(watch.verdicts())
    except ValueError as too_few:
        verdicts, error = (), error or str(too_few)
    return Report(name, minutes, len(watch.samples), verdicts, error)


def run_apart(name: str, minutes: float) -> Report:
    """Run one in a process of its own: what another one left behind is not its doing."""
    command = [sys.executable, "-m", "soaks", name, "--minutes", str(minutes), "--in-process"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode:
        return Report(name, minutes, error=f"exit status {ran.returncode}; what it said is above")
    said = json.loads(ran.stdout.splitlines()[-1])
    verdicts = tuple(Verdict(**verdict) for verdict in said["verdicts"])
    return Report(name, minutes, said["samples"], verdicts, said["error"])


def show(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report.soak}, {report.minutes:g} min, {report.samples} samples", title_style="dim")
    table.add_column("what")
    for heading in ("at first", "at last", "mean"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("limit")
    for verdict in report.verdicts:
        what = f"{verdict.name}, {verdict.unit}" if verdict.unit else verdict.name
        figures = [f"{value:,.4g}" for value in (verdict.first, verdict.last, verdict.mean)]
        mark = "[red]✗[/] " if not verdict.ok else "[green]✓[/] " if verdict.limit else ""
        table.add_row(what, *figures, mark + verdict.limit)
    if report.error is not None:
        table.add_row("[red]failed[/]", "", "", "", f"[red]{report.error}[/]")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
