"""docs/reference/commands.md says what the command table says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from utd_core.model.command import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_what_the_table_says() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference_commands.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_the_page_holds_every_command() -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    for command in COMMANDS.values():
        assert f"### {command.__name__}\n" in text
        assert f"`{command.spec.verb} /api/v1{command.spec.path}`" in text
