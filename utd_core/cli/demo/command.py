"""The command line: options, exit status, Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import traceback
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ...errors import ErrorCode, InvalidInput, PluginError, UTDStreamException
from ...hooks import default_manager
from ...media.extras import needs_extra
from .board import Board
from .chart import draw
from .devices import VOICE, Voice
from .folder import recordings
from .pauses import short_pauses
from .performance import Performance
from .report import Report
from .scenes import SCENES
from .view import View

NOT_HEARD = 1
UNUSABLE = 2
"""What was asked for cannot be used: an unknown backend or setting, a folder that cannot be written, no library."""
STOPPED = 130
"""128 and the number of SIGINT, as shells have it."""


def demo(
    backend: Annotated[str, typer.Option(metavar="NAME", help="A backend that `utd plugins` lists.")] = "mock",
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep what everybody heard: a WAV file each, and levels.png.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON in the last line.")] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A setting of the backend (URL, key, ...); may be repeated."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the log, and where an error comes from.")] = False,
) -> None:
    """A room full of people hears a real voice, in this terminal.

    An embedded engine plays three scenes in real time: an audio room where a listener asks to speak, a call, and a
    live stream whose viewer comes on stage. The others record what they hear, and it is compared with what was said.
    A scene that the backend cannot carry is left out, and it is said why. A backend that needs a server brings one of
    its own, if it can, unless settings or its environment name another.

    The exit status is 0 when everybody heard the voice in every scene that was played, 1 when somebody did not or
    nothing was played, 2 when the backend, a setting or the folder cannot be used.
    """
    _set_up_log(debug)
    try:
        status = run(backend, record, read_settings(setting or ()), json_output=json_output, debug=debug)
    except KeyboardInterrupt:
        print("utd demo: stopped; nothing is left behind", file=sys.stderr)
        status = STOPPED
    except Exception as error:  # noqa: BLE001  # whatever it is, people get a line and not a traceback
        if debug:
            traceback.print_exc()
        print(f"utd demo: {_line(error)}", file=sys.stderr)
        status = status_of(error)
    raise typer.Exit(status)


def run(backend: str, record: Path | None, settings: dict[str, Any], *, json_output: bool, debug: bool) -> int:
    """Play, judge, keep and tell; the exit status. Raises `UTDStreamException` when it does not come to a result."""
    _load_libraries(draws=record is not None)
    spec = default_manager().spec(backend)
    if not settings and spec.standalone is not None:
        settings = dict(spec.standalone(lambda line: print(f"utd demo: {line}", file=sys.stderr, flush=True)))
    view = View(Console(stderr=json_output), is_live=not debug)
    board = Board(backend, tuple(scene.name for scene in SCENES), view.step)
    with recordings(record) as folder:

        async def play() -> tuple[Report, Performance]:
            voice = await Voice.load(VOICE)
            performance = Performance(backend, spec.capabilities, voice, folder.making, board, media_settings=settings)
            return Report(backend, VOICE, await performance.run()), performance

        with view.showing(board), short_pauses():
            report, performance = asyncio.run(play())
        if folder.kept is not None and performance.takes:
            played = [(scene, performance.takes[scene.scene]) for scene in report.scenes if scene.played]
            draw(folder.making / "levels.png", backend, played)
            folder.keep()
        view.conclude(report, folder.kept)
    if json_output:
        print(json.dumps(report.as_dict(folder.kept)), flush=True)
    return 0 if report.ok else NOT_HEARD


def read_settings(given: Iterable[str]) -> dict[str, Any]:
    """`key=value` pairs. A value is JSON (a number, true, a quoted text) where it can be read so, else plain text.

    Raises `InvalidInput` for what is no pair.
    """
    settings: dict[str, Any] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise InvalidInput(f"--setting takes KEY=VALUE, got {pair!r}")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings


def status_of(error: Exception) -> int:
    """The exit status of a run that came to no result."""
    if isinstance(error, InvalidInput | PluginError):
        return UNUSABLE
    if isinstance(error, UTDStreamException) and error.code == ErrorCode.MISSING_EXTRA:
        return UNUSABLE
    return NOT_HEARD


def _line(error: Exception) -> str:
    if isinstance(error, UTDStreamException):
        return str(error)
    return f"{type(error).__name__}: {error} (this is a mistake in utd-core; --debug shows where)"


def _load_libraries(*, draws: bool) -> None:
    """Import now what takes long, so that it is missed before anything begins, and nobody is interrupted by it."""
    with needs_extra("comparing what was heard", "demo"):
        import_module("numpy")
    if draws:
        with needs_extra("levels.png", "demo"):
            import_module("matplotlib.figure")


def _set_up_log(debug: bool) -> None:
    """Errors are one line on stderr, and the view is all there is to see; `--debug` shows the rest."""
    if debug:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    else:
        logging.getLogger("utd_core").addHandler(logging.NullHandler())
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
