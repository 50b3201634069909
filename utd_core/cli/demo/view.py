"""How a terminal shows the demo: alive while it runs, a table in the end; plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.align import Align
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ...media.sinks.level import Level
from .board import Board, Card, Progress, Speaker
from .devices import FRAME_MS
from .listener import Hearing
from .places import Mood, Place, Scenery, scenery_of
from .report import Heard, Report

REFRESH = 12
"""Pictures per second."""
WIDEST = 92
BAR_CELLS = 28
LOWEST_DBFS, WARM_DBFS, HOT_DBFS = -60.0, -18.0, -9.0

_EIGHTHS = " ▏▎▍▌▋▊▉"
_WARM, _HOT = (int(BAR_CELLS * (1 - dbfs / LOWEST_DBFS)) for dbfs in (WARM_DBFS, HOT_DBFS))
_ZONES = (("green", 0, _WARM), ("yellow", _WARM, _HOT), ("red", _HOT, BAR_CELLS))
_MARKS = {
    Progress.WAITING: ("·", "dim"),
    Progress.PLAYING: ("▶", "bold cyan"),
    Progress.HEARD: ("✔", "green"),
    Progress.NOT_HEARD: ("✘", "red"),
    Progress.LEFT_OUT: ("–", "yellow"),
}
_MOODS = {
    Mood.EMPTY: ("dim", "dim"),
    Mood.QUIET: ("default", "dim"),
    Mood.OPEN: ("cyan", "cyan"),
    Mood.SPEAKING: ("bold green", "green"),
}


class View:
    """Shows a board. `console` is where; the demo's result goes there too."""

    def __init__(self, console: Console, *, is_live: bool) -> None:
        self._console = console
        self._is_live = is_live and console.is_terminal and not console.is_dumb_terminal
        self._begin = time.monotonic()

    def step(self, scene: str, text: str) -> None:
        """Something happened. The live view shows it on the board."""
        if not self._is_live:
            self._console.print(f"{scene}: {text}", markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def showing(self, board: Board) -> Iterator[None]:
        """Show the board inside.

        Drawing is done in a thread: a terminal that is slow to take it in must not make anybody speak late.
        """
        if not self._is_live:
            yield
            return
        with Live(
            console=self._console,
            get_renderable=lambda: self.render(board),
            refresh_per_second=REFRESH,
            transient=True,
        ):
            yield

    def render(self, board: Board) -> RenderableType:
        """The board at this moment."""
        speaking = [each.identity for each in board.speakers if each.microphone.meter.is_speaking]
        parts: list[RenderableType] = [_scenes(board.cards), ""]
        scenery = scenery_of(board.session, speaking)
        if scenery.places:
            parts += [_places(scenery), Text(scenery.caption, style="italic"), ""]
        if board.speakers or board.listeners:
            parts += [_levels(board.speakers, board.listeners), ""]
        parts += [Text(f"› {step}", style="default" if step is board.steps[-1] else "dim") for step in board.steps]
        return Panel(
            Group(*parts),
            title=f"[bold]utd demo[/] · backend {board.backend} · {time.monotonic() - self._begin:.0f} s",
            title_align="left",
            border_style="cyan",
            box=box.ROUNDED,
            padding=(0, 1),
            width=min(self._console.width, WIDEST),
        )

    def conclude(self, report: Report, kept: Path | None) -> None:
        """The result: who heard what, and what was left out or broken off."""
        print_plain = self._console.print
        print_plain(_result(report))
        for scene in report.scenes:
            name = scene.scene.replace("_", " ")
            if not scene.played:
                print_plain(Text(f"left out: {name}, because {scene.why}", style="yellow"), soft_wrap=True)
            elif scene.why:
                print_plain(Text(f"broken off: {name}, because {scene.why}", style="red"), soft_wrap=True)
        if kept is not None:
            print_plain(Text(f"recordings, and levels.png: {kept}"), soft_wrap=True)
        played = sum(scene.played for scene in report.scenes)
        if report.ok:
            print_plain(Text(f"Everybody heard the voice in {_count(played, 'scene')}.", style="bold green"))
        elif played:
            print_plain(Text("Not everybody heard the voice.", style="bold red"))
        else:
            print_plain(Text(f"Backend {report.backend} can play none of the scenes.", style="bold red"))


def _scenes(cards: Sequence[Card]) -> Text:
    line = Text()
    for card in cards:
        mark, style = _MARKS[card.progress]
        line.append(f"{mark} {card.scene.replace('_', ' ')}", style=style)
        line.append("    ")
    return line


def _places(scenery: Scenery) -> RenderableType:
    boxes: list[RenderableType] = [_place(place) for place in scenery.places]
    if scenery.between:
        link = Text(f"\n◀── {scenery.between} ──▶", style="bold", justify="center")
        boxes.insert(1, Align.center(link, width=len(link.plain) + 2))
    return Columns(boxes, padding=(0, 1))


def _place(place: Place) -> Panel:
    name, border = _MOODS[place.mood]
    words = Text(justify="center")
    words.append(place.identity or "·", style=name)
    words.append(f"\n{place.state}", style="dim" if place.mood in (Mood.EMPTY, Mood.QUIET) else name)
    return Panel(words, title=place.title, border_style=border, width=20)


def _levels(speakers: Sequence[Speaker], listeners: Sequence[Hearing]) -> Table:
    table = Table.grid(padding=(0, 1))
    for _ in range(3):
        table.add_column(no_wrap=True)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    scale = f"{LOWEST_DBFS:.0f} dBFS".ljust(BAR_CELLS - 1) + "0"
    table.add_row("", "", Text(scale, style="dim"), "", Text("frames", style="dim"), "")
    for speaker in speakers:
        microphone = speaker.microphone
        if microphone.loudness:
            late = f"≤ {microphone.worst_lateness * 1_000:.1f} ms late"
            name = Text(speaker.identity, style="bold")
            table.add_row(name, "speaks", *_meter(microphone.meter.level), str(len(microphone.loudness)), late)
    for listener in listeners:
        part = listener.part
        hears = Text(f"hears {part.hears}", style="dim")
        pictures = f"{len(listener.pictures)} pictures" if part.sees else ""
        table.add_row(part.identity, hears, *_meter(listener.meter.level), str(_received(listener)), pictures)
    return table


def _received(listener: Hearing) -> int:
    return sum(stretch.duration_us for stretch in list(listener.received)) // (FRAME_MS * 1_000)


def _meter(level: Level) -> tuple[Text, str]:
    """A bar, and the number of its length."""
    return bar(level), f"{level.rms:.1f} dBFS" if level.rms > LOWEST_DBFS else "– dBFS"


def bar(level: Level) -> Text:
    """RMS as a bar from -60 to 0 dBFS, green to red, with a tick at the held peak."""
    eighths = round(8 * BAR_CELLS * max(0.0, 1 - level.rms / LOWEST_DBFS))
    whole, part = divmod(eighths, 8)
    cells = "█" * whole + (_EIGHTHS[part] if part else "")
    peak = int(BAR_CELLS * max(0.0, 1 - level.peak / LOWEST_DBFS))
    if len(cells) <= peak < BAR_CELLS and level.peak > LOWEST_DBFS:
        cells = f"{cells:<{peak}}▏"
    cells = f"{cells:<{BAR_CELLS}}"[:BAR_CELLS]
    text = Text(style="on grey15")
    for colour, begin, end in _ZONES:
        text.append(cells[begin:end], style=colour)
    return text


def _result(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("scene", "who", "hears"):
        table.add_column(heading)
    for heading in ("frames", "likeness", "delay", "pictures"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for scene in report.scenes:
        for heard in scene.listeners:
            table.add_row(scene.scene.replace("_", " "), *_result_row(heard))
        if scene.listeners:
            table.add_section()
    return table


def _result_row(heard: Heard) -> tuple[str | Text, ...]:
    return (
        heard.identity,
        heard.speaker,
        f"{heard.received_frames}/{heard.expected_frames}",
        f"{heard.correlation:.3f}",
        "–" if heard.delay_ms is None else f"{max(0.0, heard.delay_ms):.1f} ms",
        f"{heard.pictures}/{heard.expected_pictures}" if heard.expected_pictures else "",
        Text("heard", style="green") if heard.ok else Text("not heard", style="red"),
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
