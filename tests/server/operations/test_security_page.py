"""The threat model names the tests that prove it; they are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROW = re.compile(r"^\| (?P<threat>[^|]+) \| (?P<rule>[^|]+) \| (?P<proof>`tests/[^|]+) \|$", re.MULTILINE)
ROWS = [found.groupdict() for found in ROW.finditer((ROOT / "docs/explanation/security.md").read_text("utf-8"))]
PROOF = re.compile(r"`(?P<file>tests/[\w/]+\.py)(?:::(?P<name>\w+))?`")


def test_there_is_a_threat_model() -> None:
    assert len(ROWS) > 40


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["threat"])
def test_every_rule_is_proved_by_tests_that_exist(row: dict[str, str]) -> None:
    proofs = list(PROOF.finditer(row["proof"]))
    assert ", ".join(proof[0] for proof in proofs) == row["proof"]
    for proof in proofs:
        path = ROOT / proof["file"]
        assert path.is_file(), proof[0]
        if proof["name"] is not None:
            found = re.search(rf"^ *(?:class|(?:async )?def) {proof['name']}\b", path.read_text("utf-8"), re.MULTILINE)
            assert found, proof[0]
