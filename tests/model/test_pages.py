"""Pictures and pages that are drawn from the model are what the model says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from utd_core.model.machine import Machine

from .rulebook import rule
from .test_tables import MACHINES, ONLY_TRUTH, states, triggers

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
FILES = {
    "room": "room",
    "seat": "seat",
    "stage": "stage place",
    "request": "request",
    "call": "call",
    "session": "session",
}


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / script, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("script", ["draw_machines.py", "reference_errors.py"])
def test_what_is_committed_is_what_the_script_writes(script: str) -> None:
    ran = run(script, "--check")
    assert ran.returncode == 0, ran.stderr


def test_every_machine_has_its_picture_and_no_other_one() -> None:
    assert {path.stem for path in (REFERENCE / "machines").iterdir()} == set(FILES)
    assert set(FILES.values()) == {machine.name for machine in MACHINES}


@rule(ONLY_TRUTH)
@pytest.mark.parametrize("name", FILES)
def test_a_picture_shows_every_state_and_trigger_of_its_table(name: str) -> None:
    (machine,) = (machine for machine in MACHINES if machine.name == FILES[name])
    picture = ET.parse(REFERENCE / "machines" / f"{name}.svg")
    shown: dict[str, set[str]] = {"name": set(), "trigger": set()}
    for text in picture.iter("{http://www.w3.org/2000/svg}text"):
        shown[text.attrib["class"]] |= set((text.text or "").split(", "))
    assert shown["name"] == {state.value for state in states(machine)}
    assert shown["trigger"] == {trigger.value.replace("_", " ") for trigger in triggers(machine)}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_page_holds_every_cell_of_every_table(machine: Machine[Any, Any]) -> None:
    page = (REFERENCE / "state-machines.md").read_text(encoding="utf-8")
    title = next(name for name, title in FILES.items() if title == machine.name)
    section = page.partition(f"## {title.capitalize()}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z ]+) \| (.*) \|$", section, re.MULTILINE)
    assert [trigger for trigger, _ in rows] == [trigger.value.replace("_", " ") for trigger in triggers(machine)]
    for (_, cells), trigger in zip(rows, triggers(machine), strict=True):
        for cell, state in zip(cells.split(" | "), states(machine), strict=True):
            allowed = (state, trigger) in machine.table
            expected = (
                f"→ {machine.table[state, trigger].value}" if allowed else f"`{machine.refusal(state, trigger).code}`"
            )
            assert cell == expected
