"""`utd plugins`: what is installed, what it can do, and what is wrong with it."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..bus import BusSpec
from ..hooks import PluginInfo, default_manager
from ..media.backend import BackendSpec
from ..media.faults import Fault

if TYPE_CHECKING:
    from rich.table import Table


def plugins(json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show the installed plugins, their backends and what those can do.

    UTD_PLUGINS (names separated by commas) chooses which plugins are loaded.
    """
    found = default_manager().plugins
    if json_output:
        print(json.dumps({"plugins": [describe(info) for info in found]}))
    else:
        _show(found)


def describe(info: PluginInfo) -> dict[str, Any]:
    """A plugin as plain values."""
    return {
        "name": info.name,
        "distribution": info.distribution,
        "version": info.version,
        "error": None if info.error is None else {"code": info.error.code, "message": info.error.message},
        "backends": [describe_backend(spec) for spec in info.backends],
        "buses": [describe_bus(spec) for spec in info.buses],
    }


def describe_backend(spec: BackendSpec) -> dict[str, Any]:
    """A backend as plain values. `missing`: modules that it needs and that cannot be imported here."""
    return {
        "name": spec.name,
        "summary": spec.summary,
        "missing": _missing(spec),
        "capabilities": spec.capabilities.as_dict(),
        "faults": sorted(spec.faults),
    }


def describe_bus(spec: BusSpec) -> dict[str, Any]:
    """A message bus as plain values. `missing`: as of a backend."""
    return {"name": spec.name, "summary": spec.summary, "schemes": list(spec.schemes), "missing": _missing(spec)}


def _missing(spec: BackendSpec | BusSpec) -> list[str]:
    return [name for name in spec.requires if importlib.util.find_spec(name.partition(".")[0]) is None]


def _show(found: list[PluginInfo]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not found:
        console.print("No plugin is installed, or UTD_PLUGINS allows none. Try: pip install utd-mock")
        return
    table = Table("plugin", "from", "backends", "message buses")
    for info in found:
        said = ", ".join(spec.name for spec in info.backends) or "[dim]none[/]"
        buses = ", ".join(spec.name for spec in info.buses) or "[dim]none[/]"
        if info.error is not None:
            said = f"[red]{escape(info.error.message)}[/]"
        table.add_row(escape(info.name), escape(f"{info.distribution} {info.version}".strip()), said, buses)
    console.print(table)
    specs = [spec for info in found for spec in info.backends]
    if specs:
        console.print(_matrix(specs))
    brought: list[BackendSpec | BusSpec] = [*specs, *(bus for info in found for bus in info.buses)]
    for spec in brought:
        if missing := _missing(spec):
            install = f"pip install {spec.distribution}" if spec.distribution else "install them"
            console.print(f"{spec.name}: not importable here: {', '.join(missing)}; {install}")


def _matrix(specs: list[BackendSpec]) -> Table:
    from rich.table import Table

    table = Table("capability", *(spec.name for spec in specs))
    declared = [spec.capabilities.as_dict() for spec in specs]
    for name in declared[0]:
        table.add_row(name, *(_cell(capabilities[name]) for capabilities in declared))
    table.add_section()
    for fault in Fault:
        table.add_row(f"fault {fault}", *(_cell(fault in spec.faults) for spec in specs))
    return table


def _cell(value: Any) -> str:
    match value:
        case True:
            return "[green]yes[/]"
        case False:
            return "[dim]no[/]"
        case None:
            return "no limit"
        case list():
            return " ".join(map(str, value))
        case _:
            return str(value)
