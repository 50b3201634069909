"""The threat model names the tests that prove it; they are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROW = re.compile(r"^\| (?P<threat>[^|]+) \| (?P<rule>[^|]+) \| (?P<proof>`tests/[^|]+) \|$", re.MULTILINE)
ROWS = [found.groupdict() for found in ROW.finditer((ROOT / "docs/explanation/security.md").read_text("utf-8"))]


def test_there_is_a_threat_model() -> None:
    assert len(ROWS) > 15


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["threat"])
def test_every_rule_is_proved_by_tests_that_exist(row: dict[str, str]) -> None:
    folder = ROOT
    for name in re.findall(r"`([^`]+)`", row["proof"]):
        path = ROOT / name if name.startswith("tests/") else folder / name
        folder = path.parent
        assert path.is_file(), f"{row['threat']}: {name}"
