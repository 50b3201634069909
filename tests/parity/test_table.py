"""The parity table lists every row, and says of each what its markers say."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "parity.md"
PARTS = tomllib.loads((Path(__file__).parent / "rows.toml").read_text(encoding="utf-8"))
ROWS = [row["row"] for part in PARTS.values() for row in part["rows"]]


def test_the_page_is_what_rows_and_markers_say() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / "parity_table.py", "--check"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_every_row_stands_in_the_page_once() -> None:
    assert re.findall(r"^\| ([A-Z]\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == ROWS


@pytest.mark.parametrize("part", PARTS)
def test_rows_are_numbered_without_a_gap(part: str) -> None:
    assert [row["row"] for row in PARTS[part]["rows"]] == [f"{part}{n + 1}" for n in range(len(PARTS[part]["rows"]))]


def test_a_row_without_a_marker_is_later_everywhere() -> None:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if re.match(r"\| [A-Z]\d+ \|", line):
            *_, mock, p2p, livekit, proofs, _ = re.split(r" \| | \|$", line + " |")
            assert (mock == "tested") is ("`" in proofs), line
            assert (p2p, livekit) == ("later", "later")
