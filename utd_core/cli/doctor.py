"""`utd doctor`: what works on this machine, and how to get the rest."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import platform
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from ..errors import UTDStreamException
from ..hooks import Check, default_manager

MINIMUM_PYTHON = (3, 11)
MINIMUM_SQLITE = (3, 35, 0)
"""The first with RETURNING."""

DEFAULT_BACKEND = "mock"

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "av": ("av", "numpy"),
    "demo": ("av", "matplotlib", "numpy"),
    "server": (
        "cryptography",
        "httptools",
        "httpx",
        "prometheus_client",
        "pydantic_settings",
        "starlette",
        "uvicorn",
        "uvloop",
        "websockets",
    ),
    "remote": ("httpx", "sniffio", "websockets"),
    "postgres": ("asyncpg",),
    "redis": ("redis",),
    "otel": ("opentelemetry.exporter.otlp.proto.http", "opentelemetry.sdk"),
    "testing": ("blockbuster", "hypothesis", "pytest", "pytest_asyncio"),
}
"""The modules of each optional dependency of `utd-core`."""

Finding = tuple[str, Check, bool]
"""Group, check, and whether the embedded default needs it."""


def doctor(json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Say what works on this machine, and how to get the rest.

    The exit status is 0 when the embedded default (engine on SQLite, mock backend) works, else 1.
    """
    findings = list(examine())
    ok = all(check.ok for _, check, needed in findings if needed)
    if json_output:
        checks = [{"group": group, **asdict(check), "needed": needed} for group, check, needed in findings]
        print(json.dumps({"ok": ok, "checks": checks}))
    else:
        _show(findings, ok)
    raise typer.Exit(0 if ok else 1)


def examine() -> Iterator[Finding]:
    """Look at everything."""
    yield "machine", check_python(), True
    yield "machine", check_sqlite(), True
    yield "machine", check_default(), True
    for extra, modules in EXTRAS.items():
        yield "extras", check_extra(extra, modules), False
    for plugin, check in default_manager().checks():
        yield plugin, check, False


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Check:
    """The interpreter is new enough."""
    remedy = "" if version >= MINIMUM_PYTHON else f"install Python {'.'.join(map(str, MINIMUM_PYTHON))} or newer"
    return Check("python", not remedy, f"{platform.python_version()} ({platform.python_implementation()})", remedy)


def check_sqlite(version: str = sqlite3.sqlite_version) -> Check:
    """The SQLite library that this Python was built with is new enough."""
    known = tuple(int(part) for part in version.split("."))
    wanted = ".".join(map(str, MINIMUM_SQLITE))
    remedy = "" if known >= MINIMUM_SQLITE else f"use a Python built with SQLite {wanted} or newer, or PostgreSQL"
    return Check("sqlite", not remedy, version, remedy)


def check_extra(extra: str, modules: tuple[str, ...]) -> Check:
    """Every module of an optional dependency is there; none is imported."""
    missing = [name for name in modules if not _is_there(name)]
    if missing:
        return Check(extra, False, f"not installed: {', '.join(missing)}", f'pip install "utd-core[{extra}]"')
    return Check(extra, True, ", ".join(modules))


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        # Not even the package that it is in.
        return False


def check_default() -> Check:
    """A frame really goes from one participant to another on the default backend."""
    begin = time.perf_counter()
    try:
        asyncio.run(_send_one_frame())
    except Exception as error:  # noqa: BLE001  (whatever is wrong is what a doctor is for)
        said = error.message if isinstance(error, UTDStreamException) else f"{type(error).__name__}: {error}"
        return Check("embedded default", False, said, "`utd plugins` shows what is there; pip install utd-mock")
    milliseconds = (time.perf_counter() - begin) * 1_000
    return Check("embedded default", True, f"a frame crossed a room of the {DEFAULT_BACKEND} in {milliseconds:.1f} ms")


async def _send_one_frame() -> None:
    from ..concurrency import SystemClock
    from ..errors import ErrorCode, MediaError
    from ..media.backend import PublishOptions
    from ..media.frames import AudioFrame
    from ..model.permission import Grant, TrackSource

    sent = AudioFrame(bytes(1_920), 48_000)
    microphone = TrackSource.MICROPHONE
    backend = default_manager().create_backend(DEFAULT_BACKEND, {}, SystemClock())
    try:
        control = backend.control
        await control.create_room("doctor")
        speaks = await control.issue_join("doctor", "speaker", grant=Grant(publish=frozenset({microphone})))
        listens = await control.issue_join("doctor", "listener", grant=Grant())
        speaker = await backend.connect(speaks)
        listener = await backend.connect(listens)
        track = await speaker.publish(PublishOptions(microphone))
        reader = listener.read(track.info.id)
        await track.write(sent)
        received = await anext(reader)
        if received != sent:
            raise MediaError("the frame that arrived is not the one that was sent", code=ErrorCode.MEDIA_FAILED)
    finally:
        await backend.aclose()


def _show(findings: list[Finding], ok: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("", style="dim")
    table.add_column("")
    table.add_column("")
    for group, check, needed in findings:
        mark = "[green]ok[/]" if check.ok else "[red]no[/]" if needed else "[yellow]--[/]"
        remedy = f"\n[dim]get it:[/] {escape(check.remedy)}" if check.remedy and not check.ok else ""
        table.add_row(mark, escape(group), escape(check.name), f"{escape(check.detail)}{remedy}")
    console = Console()
    console.print(table)
    console.print("\nThe embedded default works." if ok else "\n[red]The embedded default does not work.[/]")
