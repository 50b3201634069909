"""What grows is seen, what comes and goes is not taken for it."""

from __future__ import annotations

import pytest

from soaks import Figure, Watch
from soaks.watch import LEAST_SAMPLES, PROCESS, judge

LEAK = [100.0 + number for number in range(30)]
STEADY = [100.0 + number % 5 for number in range(30)]
STEP = [100.0] * 15 + [120.0] * 15


@pytest.mark.parametrize(
    ("values", "ok"),
    [(LEAK, False), (STEP, False), (STEADY, True), (LEAK[::-1], True)],
    ids=["leak", "step", "steady", "shrinks"],
)
def test_what_grows_by_more_than_it_may_is_bad(values: list[float], ok: bool) -> None:
    verdict = judge("memory", Figure("MB", may_grow=10.0), values)
    assert verdict.ok is ok
    assert "10" in verdict.limit


def test_the_mean_is_held_to_its_limit() -> None:
    assert judge("lost", Figure("%", at_most=1.0), [0.0, 0.0, 2.9]).ok
    assert not judge("lost", Figure("%", at_most=1.0), [0.0, 0.0, 3.1]).ok


def test_a_figure_with_a_limit_that_was_never_seen_is_bad_and_one_without_is_left_out() -> None:
    assert not judge("late", Figure("ms", may_grow=1.0), []).ok


async def test_a_watch_sees_its_process_and_passes_over_the_warm_up() -> None:
    watch = Watch(1.0, {"late": Figure("ms", may_grow=1.0), "shown": Figure()})
    for number in range(40):
        watch.look(late=float(max(0, 9 - number)))
    verdicts = {verdict.name: verdict for verdict in watch.verdicts()}
    assert verdicts.keys() == {*PROCESS, "late"}
    assert verdicts["late"].mean == 0.0, "the first ten are the warm-up"
    assert verdicts["memory"].mean > 10
    assert verdicts["threads"].mean >= 1
    assert all(verdict.ok for verdict in verdicts.values())


async def test_too_few_samples_say_nothing() -> None:
    watch = Watch(0.0001)
    for _ in range(LEAST_SAMPLES - 1):
        watch.look()
        assert watch.goes_on()
    with pytest.raises(ValueError, match="longer run"):
        watch.verdicts()


async def test_a_figure_that_is_not_declared_is_refused() -> None:
    with pytest.raises(KeyError, match="latte"):
        Watch(1.0, {"late": Figure()}).look(latte=1.0)


def test_rounds_are_those_of_an_hour_and_enough_to_compare() -> None:
    assert Watch(60.0).rounds(300) == 300
    assert Watch(6.0).rounds(300) == 30
    assert Watch(0.2).rounds(20) == LEAST_SAMPLES
