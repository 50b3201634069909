"""Draw the state machines of the model, and write the page that shows them, from the tables that the engine runs on.

    python scripts/draw_machines.py            docs/reference/machines/*.svg and docs/reference/state-machines.md
    python scripts/draw_machines.py --check    exit 1 when one of them is not what the tables say

Only where a state stands in its picture is decided here. A frame is drawn around states that have transitions in
common: an arrow that begins at the frame is there for each state in it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from math import hypot
from pathlib import Path
from typing import Any

from utd_core.model import call, request, room, seats, session, stage
from utd_core.model.machine import Machine

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGE = FOLDER / "state-machines.md"
PICTURES = FOLDER / "machines"

COLUMN, ROW, HEIGHT, MARGIN, PADDING = 190.0, 110.0, 40.0, 36.0, 26.0
LANE = 11.0
"""Half the distance of two arrows that go back and forth between the same states."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Where each state stands, as (column, row), and which states are framed together."""

    places: Mapping[str, Point]
    frame: tuple[str, ...] = ()


@dataclass(frozen=True)
class Box:
    """A rectangle around a center."""

    x: float
    y: float
    width: float
    height: float

    def exit(self, inside: Point, outside: Point) -> Point:
        """Where the line from a point in the box to one beyond it leaves the box."""
        dx, dy = outside[0] - inside[0], outside[1] - inside[1]
        edge = (
            self.x + (self.width if dx > 0 else -self.width) / 2,
            self.y + (self.height if dy > 0 else -self.height) / 2,
        )
        part = min((edge[0] - inside[0]) / dx if dx else 1.0, (edge[1] - inside[1]) / dy if dy else 1.0)
        return inside[0] + dx * part, inside[1] + dy * part

    def nearest(self, point: Point) -> Point:
        """The point of the box that is nearest to `point`."""
        return (
            min(max(point[0], self.x - self.width / 2), self.x + self.width / 2),
            min(max(point[1], self.y - self.height / 2), self.y + self.height / 2),
        )


LAYOUTS: Mapping[str, tuple[Machine[Any, Any], Any, Layout]] = {
    "room": (
        room.ROOM,
        room,
        Layout({"backstage": (0, 0), "live": (1.2, 0), "ended": (2.6, 0)}, frame=("backstage", "live")),
    ),
    "seat": (seats.SEAT, seats, Layout({"empty": (0, 0), "occupied": (2, 0), "locked": (1, 1.2)})),
    "stage": (stage.STAGE, stage, Layout({"off": (0, 0), "on": (1.2, 0)})),
    "request": (
        request.REQUEST,
        request,
        Layout(
            {
                "pending": (0, 1.2),
                "accepted": (2.0, 0),
                "rejected": (2.0, 0.6),
                "cancelled": (2.0, 1.2),
                "expired": (2.0, 1.8),
                "failed": (2.0, 2.4),
            }
        ),
    ),
    "call": (
        call.CALL,
        call,
        Layout(
            {
                "initiating": (0, 0),
                "ringing": (1.1, 0),
                "active": (2.5, 0),
                "rejected": (-0.15, 1.4),
                "busy": (0.55, 1.4),
                "missed": (1.25, 1.4),
                "ended": (2.5, 1.4),
            },
            frame=("initiating", "ringing"),
        ),
    ),
    "session": (
        session.SESSION,
        session,
        Layout(
            {
                "idle": (0, 0),
                "connecting": (1, 0),
                "connected": (2.15, 0),
                "reconnecting": (3.4, 0),
                "disconnected": (2.15, 1.45),
                "closed": (4.7, 0.7),
            },
            frame=("idle", "connecting", "connected", "reconnecting", "disconnected"),
        ),
    ),
}


@dataclass(frozen=True)
class Arrow:
    """From a state, or from the frame (None), to a state; all triggers between the two."""

    source: str | None
    target: str
    triggers: tuple[str, ...]


def arrows(machine: Machine[Any, Any], layout: Layout) -> list[Arrow]:
    """The table's transitions; those that all framed states have in common begin at the frame."""
    table = {(state.value, trigger.value): after.value for (state, trigger), after in machine.table.items()}
    common = {
        (trigger, target)
        for (state, trigger), target in table.items()
        if layout.frame
        and target not in layout.frame
        and all(table.get((member, trigger)) == target for member in layout.frame)
    }
    found: dict[tuple[str | None, str], list[str]] = {}
    for (state, trigger), target in table.items():
        source = None if state in layout.frame and (trigger, target) in common else state
        triggers = found.setdefault((source, target), [])
        if trigger not in triggers:
            triggers.append(trigger)
    return [Arrow(source, target, tuple(triggers)) for (source, target), triggers in found.items()]


class Picture:
    """One machine as SVG. It is light on every page, as the other pictures of the book are."""

    def __init__(self, machine: Machine[Any, Any], layout: Layout) -> None:
        self.machine = machine
        self.layout = layout
        self.boxes = {state: box_of(state, place) for state, place in layout.places.items()}
        self.arrows = arrows(machine, layout)
        self.parts: list[str] = []

    def draw(self) -> str:
        frame = self.frame()
        everything = [*self.boxes.values(), *([frame] if frame else [])]
        left = min(box.x - box.width / 2 for box in everything) - MARGIN
        right = max(box.x + box.width / 2 for box in everything) + MARGIN
        top = min(box.y - box.height / 2 for box in everything) - MARGIN - (0 if frame else 12)
        bottom = max(box.y + box.height / 2 for box in everything) + MARGIN
        if frame is not None:
            self.rectangle(frame, "frame")
        for state in sorted({self.machine.initial.value, *(also.value for also in self.machine.also_initial)}):
            self.beginning(self.boxes[state])
        for arrow in self.arrows:
            self.arrow(arrow, frame)
        final = {state.value for state in self.machine.final}
        for state, box in self.boxes.items():
            self.rectangle(box, "final" if state in final else "state")
            self.text((box.x, box.y), state, "name")
        width, height = right - left, bottom - top
        return HEAD.format(
            box=f"{left:g} {top:g} {width:g} {height:g}",
            width=round(width),
            left=f"{left:g}",
            top=f"{top:g}",
            full=f"{width:g}",
            tall=f"{height:g}",
            label=escape(described(self.machine, self.arrows), quote=True),
            body="\n".join(f"  {part}" for part in self.parts),
        )

    def frame(self) -> Box | None:
        """Around the framed states, with room for arrows between them and for where they begin."""
        inside = [self.boxes[state] for state in self.layout.frame]
        if not inside:
            return None
        left = min(box.x - box.width / 2 for box in inside) - PADDING
        right = max(box.x + box.width / 2 for box in inside) + PADDING
        top = min(box.y - box.height / 2 for box in inside) - PADDING - 24
        bottom = max(box.y + box.height / 2 for box in inside) + PADDING
        return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)

    def arrow(self, arrow: Arrow, frame: Box | None) -> None:
        target = self.boxes[arrow.target]
        words = [trigger.replace("_", " ") for trigger in arrow.triggers]
        if arrow.source is None:
            assert frame is not None
            start = frame.nearest((target.x, target.y))
            self.line(start, target.exit((target.x, target.y), start), words)
        elif arrow.source == arrow.target:
            self.loop(target, words)
        else:
            source = self.boxes[arrow.source]
            dx, dy = target.x - source.x, target.y - source.y
            there_and_back = any((back.source, back.target) == (arrow.target, arrow.source) for back in self.arrows)
            lane = LANE / hypot(dx, dy) if there_and_back else 0.0
            aside = -dy * lane, dx * lane
            begin, end = (source.x + aside[0], source.y + aside[1]), (target.x + aside[0], target.y + aside[1])
            self.line(source.exit(begin, end), target.exit(end, begin), words, aside)

    def line(self, start: Point, end: Point, words: list[str], aside: Point = (0.0, 0.0)) -> None:
        """An arrow with its words: above where it is flat, beside where it is steep, else on it; outside of two."""
        self.parts.append(f'<path class="arrow" d="M{at(start)}L{at(end)}"/>')
        dx, dy = end[0] - start[0], end[1] - start[1]
        x, y = start[0] + dx / 2, start[1] + dy / 2
        is_flat, is_steep = abs(dy) < 0.15 * abs(dx), abs(dx) < 0.35 * abs(dy)
        anchor = "start" if aside[0] > 0 or is_steep else "end" if aside[0] < 0 else "middle"
        if is_flat:
            self.trigger((x, y + (13 if aside[1] > 0 else -11)), [", ".join(words)], "middle")
        elif is_steep:
            self.trigger((x + 8, y), words, anchor)
        else:
            self.trigger((x + aside[0], y + aside[1]), words, anchor)

    def trigger(self, where: Point, lines: list[str], anchor: str) -> None:
        width, height = 6.6 * max(map(len, lines)) + 4, 15.0 * len(lines)
        x = where[0] + {"start": width / 2 - 2, "middle": 0.0, "end": 2 - width / 2}[anchor]
        # No line runs through a word.
        self.rectangle(Box(x, where[1], width, height), "ground")
        for number, words in enumerate(lines):
            self.text((where[0], where[1] + 15 * (number - (len(lines) - 1) / 2)), words, "trigger", anchor)

    def loop(self, box: Box, words: list[str]) -> None:
        x, y = box.x + box.width / 4, box.y - box.height / 2
        self.parts.append(f'<path class="arrow" d="M{x - 12:g} {y:g}c-8 -26 32 -26 24 0"/>')
        self.trigger((x - 16, y - 14), [", ".join(words)], "end")

    def beginning(self, box: Box) -> None:
        x, top = box.x - box.width / 4, box.y - box.height / 2
        self.parts.append(f'<circle class="beginning" cx="{x:g}" cy="{top - 26:g}" r="5"/>')
        self.parts.append(f'<path class="arrow" d="M{x:g} {top - 21:g}V{top:g}"/>')

    def rectangle(self, box: Box, kind: str) -> None:
        x, y = box.x - box.width / 2, box.y - box.height / 2
        self.parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{box.width:g}" height="{box.height:g}" rx="8"/>'
        )

    def text(self, where: Point, words: str, kind: str, anchor: str = "middle") -> None:
        x, y = f"{where[0]:.1f}", f"{where[1] + 4.5:.1f}"
        self.parts.append(f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>')


HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{width}" role="img" aria-label="{label}">
  <style>
    text {{ font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }}
    .name {{ font-size: 14px; font-weight: 600; fill: #1f2740; }}
    .trigger {{ font-size: 12.5px; fill: #46537a; }}
    .ground {{ fill: #fbfcfe; }}
    .state, .final {{ fill: #fff; stroke: #3f51b5; stroke-width: 1.5; }}
    .final {{ fill: #eef0fb; stroke-width: 3; }}
    .frame {{ fill: none; stroke: #9aa6c4; stroke-dasharray: 5 4; }}
    .arrow {{ fill: none; stroke: #5c6b8a; stroke-width: 1.5; marker-end: url(#tip); }}
    .beginning {{ fill: #1f2740; }}
  </style>
  <defs>
    <marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
      <path d="M0 0 10 5 0 10z" fill="#5c6b8a"/>
    </marker>
  </defs>
  <rect class="ground" x="{left}" y="{top}" width="{full}" height="{tall}" rx="10"/>
{body}
</svg>
"""


def box_of(state: str, place: Point) -> Box:
    return Box(place[0] * COLUMN, place[1] * ROW, max(84.0, 8.2 * len(state) + 30), HEIGHT)


def at(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def described(machine: Machine[Any, Any], found: list[Arrow]) -> str:
    """The picture for those who do not see it."""
    sentences = []
    for arrow in found:
        source = "any framed state" if arrow.source is None else arrow.source
        sentences.append(f"{source} to {arrow.target} by {' or '.join(arrow.triggers).replace('_', ' ')}")
    return f"The states of a {machine.name}: {'; '.join(sentences)}."


PAGE_HEAD = """\
# State machines

What may follow what. Each machine is a table that the engine, and where it follows the engine the client, asks before
anything changes. A cell that is not in the table is a [refusal](errors.md) with the code that stands in it, and changes
nothing. Dots show where a machine begins; states with a thick border are ends; an arrow from a dashed frame is there
for every state in it.

<!-- Written by scripts/draw_machines.py from the tables of utd_core/model; change those, then run it. -->
"""


def page() -> str:
    return PAGE_HEAD + "\n" + "\n".join(line for name in LAYOUTS for line in section(name)).rstrip() + "\n"


def section(name: str) -> Iterator[str]:
    machine, module, layout = LAYOUTS[name]
    title, _, rules = (inspect.getdoc(module) or "").partition("\n\n")
    yield f"## {name.capitalize()}"
    yield ""
    yield title
    yield ""
    yield f"![{escape(described(machine, arrows(machine, layout)))}](machines/{name}.svg)"
    yield ""
    yield from matrix(machine)
    yield ""
    yield "The rules around it:"
    yield ""
    yield rules.partition("\n\n")[0]
    yield ""


def matrix(machine: Machine[Any, Any]) -> Iterator[str]:
    """Triggers down, states across: the next state, or the code of the refusal."""
    states, triggers = members(machine.states), members(machine.triggers)
    yield f"| | {' | '.join(f'**{state.value}**' for state in states)} |"
    yield f"|---|{'---|' * len(states)}"
    for trigger in triggers:
        cells = [
            f"→ {machine.table[state, trigger].value}"
            if machine.allows(state, trigger)
            else f"`{machine.refusal(state, trigger).code}`"
            for state in states
        ]
        yield f"| {trigger.value.replace('_', ' ')} | {' | '.join(cells)} |"


def members(kind: type[StrEnum]) -> list[StrEnum]:
    return list(kind)


def files() -> dict[Path, str]:
    """Everything that this program writes."""
    pictures = {
        PICTURES / f"{name}.svg": Picture(machine, layout).draw() for name, (machine, _, layout) in LAYOUTS.items()
    }
    return {**pictures, PAGE: page()}


def main() -> int:
    written = files()
    if "--check" not in sys.argv[1:]:
        PICTURES.mkdir(exist_ok=True)
        for path, text in written.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path for path, text in written.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    stale += sorted(set(PICTURES.glob("*")) - set(written))
    for path in stale:
        print(f"{path} is not what the tables say; run python scripts/draw_machines.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
