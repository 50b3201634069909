"""Says after a run how far the state machines went."""

from __future__ import annotations

import pytest

from .fuzz import STEPS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    machines = sorted(name for name in STEPS if not name.endswith(" refused"))
    for name in machines:
        refused = STEPS[f"{name} refused"] / STEPS[name]
        terminalreporter.write_line(f"{name}: {STEPS[name]:,} steps, {refused:.0%} of them refused")
    if machines:
        terminalreporter.write_line(f"{sum(STEPS[name] for name in machines):,} steps in all")
