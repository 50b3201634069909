"""The table of `docs/how-to/livekit.md` that says what a session makes of each fault."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "livekit.md"
HEADING = "## What a session makes of it"


@dataclass(frozen=True, slots=True)
class Row:
    """`states`: those that follow on connected. `ended`: why, empty while it goes on. `seat`: kept or lost."""

    states: tuple[str, ...]
    ended: str
    seat: str


def documented() -> dict[str, Row]:
    """The rows by what happens."""
    section = PAGE.read_text(encoding="utf-8").split(HEADING)[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    return {name: Row(tuple(states.split(", ")), ended.strip("`"), seat) for name, states, ended, seat, _ in cells[2:]}
