"""The garbage collector of a process that serves looks less often, and is as it was afterwards."""

from __future__ import annotations

import gc

from utd_core.server.serving.collector import short_pauses


def test_collections_are_rare_while_it_serves() -> None:
    before = gc.get_threshold()
    with short_pauses():
        assert gc.get_threshold()[0] > 10 * before[0]
        assert gc.get_freeze_count() > 10_000, "modules are left out"
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_what_comes_later_is_still_collected() -> None:
    with short_pauses():
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() >= 1
