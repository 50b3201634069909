"""Says after a run how far the state machines went."""

from __future__ import annotations

import pytest

from .fuzz import STEPS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, steps in sorted(STEPS.items()):
        if not name.endswith(" refused"):
            refused = STEPS[f"{name} refused"] / steps
            terminalreporter.write_line(f"{name}: {steps:,} steps, {refused:.0%} of them refused")
