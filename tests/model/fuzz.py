"""How far the state machines go: a bounded, repeatable number of steps, or as many as `UTD_FUZZ_STEPS` says.

make fuzz                                          a million steps, at random
UTD_FUZZ_STEPS=20000 python -m pytest tests/model/test_*_machine.py
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from math import ceil
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test

from utd_core.errors import InvalidInput, Refused
from utd_core.model.command import Command
from utd_core.model.event import Event

from .world import RoomWorld

log = logging.getLogger("fuzz")

STEPS_OF_A_RUN = 60
RUNS_AT_ONCE = 200
"""Hypothesis remembers every run of one search, so a long search is many short ones."""

STEPS: Counter[str] = Counter()
"""What was done, by machine; and how much of it was refused, under `<machine> refused`."""


class Explorer(RuleBasedStateMachine):
    """A state machine whose steps are counted."""

    name: ClassVar[str]

    @invariant()
    def a_step_is_counted(self) -> None:
        STEPS[self.name] += 1

    def refused(self) -> None:
        STEPS[f"{self.name} refused"] += 1

    def agree(self, world: RoomWorld, by: str, command: Command, predicted: str | None) -> list[Event]:
        """Give a command that ends as predicted: with this code, or (None) with events."""
        events: list[Event] = []
        code: str | None = None
        try:
            events = world.give(by, command)
        except (Refused, InvalidInput) as refusal:
            code = refusal.code
            self.refused()
        assert code == predicted, f"{by} gave {command!r}"
        return events


def explore(machine: type[Explorer], *, runs: int, share: float) -> None:
    """Run a machine `runs` times; or, when fuzzing, until it has taken its `share` of the steps."""
    steps = int(os.environ.get("UTD_FUZZ_STEPS", "0"))
    if not steps:
        _run(machine, runs, derandomize=True)
        return
    before, goal, began = STEPS[machine.name], round(steps * share), time.monotonic()
    while (taken := STEPS[machine.name] - before) < goal:
        _run(machine, min(RUNS_AT_ONCE, ceil((goal - taken) / STEPS_OF_A_RUN)), derandomize=False)
        taken, seconds = STEPS[machine.name] - before, time.monotonic() - began
        log.info("%s: %s of %s steps, %.0f s", machine.name, f"{taken:,}", f"{goal:,}", seconds)


def _run(machine: type[Explorer], runs: int, *, derandomize: bool) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS_OF_A_RUN,
            database=None,
            derandomize=derandomize,
            print_blob=True,
            phases=[phase for phase in Phase if phase is not Phase.explain],
            suppress_health_check=list(HealthCheck),
        ),
    )
