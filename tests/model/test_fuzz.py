"""`make fuzz` goes as far as it is told."""

from __future__ import annotations

import pytest

from .fuzz import STEPS, STEPS_OF_A_RUN, explore
from .test_stage_machine import StageMachine


def test_as_many_steps_as_asked_for_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UTD_FUZZ_STEPS", "1200")
    before = STEPS[StageMachine.name]
    explore(StageMachine, runs=1, share=0.5)
    taken = STEPS[StageMachine.name] - before
    assert 600 <= taken <= 600 + 2 * STEPS_OF_A_RUN
