"""What a pacer promises holds for every clock, however late it wakes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.errors import InvalidInput
from utd_core.media import LatePolicy, Pacer
from utd_core.testing import VirtualClock

from .tools import LateClock

TINY = 1e-6
lateness = st.one_of(st.just(0.0), st.floats(0, 0.03), st.floats(0, 0.5))
intervals = st.sampled_from([0.01, 0.02, 1 / 30, 1 / 29.97, 0.1])


async def play(clock: LateClock, pacer: Pacer, turns: int) -> list[tuple[int, float]]:
    """(number of the frame, when it was let through)"""
    passed, number = [], 0
    for _ in range(turns):
        number += await pacer.wait()
        passed.append((number, clock.monotonic()))
        number += 1
    return passed


@given(
    late=st.lists(lateness, max_size=80),
    interval=intervals,
    burst=st.integers(1, 8),
    policy=st.sampled_from(LatePolicy),
)
def test_no_frame_is_early_and_no_burst_is_too_large(
    late: list[float], interval: float, burst: int, policy: LatePolicy
) -> None:
    clock = LateClock(late)
    begin = clock.monotonic()
    pacer = Pacer(clock, interval, max_burst=burst, policy=policy)
    passed = asyncio.run(play(clock, pacer, len(late) + 20))

    assert all(at >= begin + number * interval - TINY for number, at in passed), "never early"
    assert [number for number, _ in passed] == sorted({number for number, _ in passed}), "in order, each once"
    times = [at for _, at in passed]
    for first, earliest in enumerate(times):
        for last in range(first, len(times)):
            most = (times[last] - earliest) / interval + burst
            assert last - first < most + 1 + TINY, f"{last - first + 1} frames in {times[last] - earliest:.3f} s"


@given(late=st.lists(lateness, max_size=60), interval=intervals)
def test_skipping_keeps_the_time_of_the_stream(late: list[float], interval: float) -> None:
    clock = LateClock(late)
    begin = clock.monotonic()
    pacer = Pacer(clock, interval, max_burst=4, policy=LatePolicy.SKIP)
    passed = asyncio.run(play(clock, pacer, len(late) + 20))
    assert all(at < begin + (number + 4) * interval + TINY for number, at in passed), "never later than a burst"
    assert pacer.skipped == passed[-1][0] + 1 - len(passed)
    assert pacer.shift_us == 0
    number, at = passed[-1]
    assert at == pytest.approx(begin + number * interval), "punctual again once the clock is"


@given(late=st.lists(lateness, max_size=60), interval=intervals)
def test_resynchronising_loses_nothing_and_says_how_far_it_moved(late: list[float], interval: float) -> None:
    clock = LateClock(late)
    begin = clock.monotonic()
    pacer = Pacer(clock, interval, max_burst=4, policy=LatePolicy.RESYNC)
    passed = asyncio.run(play(clock, pacer, len(late) + 20))
    assert [number for number, _ in passed] == list(range(len(passed)))
    assert pacer.skipped == 0
    number, at = passed[-1]
    assert at == pytest.approx(begin + number * interval + pacer.shift_us / 1e6, abs=1e-4)
    assert (pacer.resyncs > 0) == (pacer.shift_us > 0)


def test_the_pace_does_not_drift_over_an_hour() -> None:
    """Sleeps that are each 3 ms late would add up to nine minutes."""
    clock = LateClock([0.003] * 180_000)
    begin = clock.monotonic()
    passed = asyncio.run(play(clock, Pacer(clock, 0.02), 180_000))
    assert passed[-1][1] - begin == pytest.approx(179_999 * 0.02 + 0.003, abs=1e-6)


def test_small_delays_are_caught_up_at_once_and_counted() -> None:
    clock = LateClock([0.0, 0.070])
    pacer = Pacer(clock, 0.02, max_burst=5)
    passed = asyncio.run(play(clock, pacer, 8))
    at = [round(time - 100.0, 3) for _, time in passed]
    assert at == [0.0, 0.09, 0.09, 0.09, 0.09, 0.1, 0.12, 0.14]
    assert (pacer.late, pacer.resyncs, pacer.skipped) == (3, 0, 0)
    assert pacer.max_lateness == pytest.approx(0.07)


@pytest.mark.parametrize(
    ("policy", "numbers", "times"),
    [
        (LatePolicy.RESYNC, [0, 1, 2, 3], [0.0, 1.02, 1.04, 1.06]),
        (LatePolicy.SKIP, [0, 51, 52, 53], [0.0, 1.02, 1.04, 1.06]),
    ],
)
def test_a_long_stall_is_no_burst(policy: LatePolicy, numbers: list[int], times: list[float]) -> None:
    clock = LateClock([0.0, 1.0 + 1e-9])
    pacer = Pacer(clock, 0.02, policy=policy)
    passed = asyncio.run(play(clock, pacer, 4))
    assert [number for number, _ in passed] == numbers
    assert [round(time - 100.0, 3) for _, time in passed] == times
    assert pacer.resyncs == 1


async def test_two_pacers_with_one_start_are_in_step() -> None:
    clock = VirtualClock()
    ticks: list[tuple[float, str]] = []

    async def run(name: str, interval: float, count: int) -> None:
        pacer = Pacer(clock, interval, start=1.0)
        for _ in range(count):
            await pacer.wait()
            ticks.append((round(clock.monotonic(), 6), name))

    async with asyncio.TaskGroup() as group:
        group.create_task(run("sound", 0.02, 5))
        group.create_task(run("picture", 0.04, 3))
        await clock.advance(2.0)
    assert [at for at, name in ticks if name == "sound"] == [1.0, 1.02, 1.04, 1.06, 1.08]
    assert [at for at, name in ticks if name == "picture"] == [1.0, 1.04, 1.08]


async def test_a_late_stream_does_not_starve_other_tasks() -> None:
    clock = LateClock()
    pacer = Pacer(clock, 0.02, start=clock.monotonic() - 0.09)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(5):
        await pacer.wait()
    assert turns >= 4
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("interval", [0, -0.02, float("nan"), float("inf"), "0.02"])
def test_an_interval_must_be_a_time(interval: Any) -> None:
    with pytest.raises(InvalidInput, match="interval must be over 0"):
        Pacer(LateClock(), interval)


@pytest.mark.parametrize("burst", [0, -1, 1.5])
def test_a_burst_is_at_least_one_frame(burst: Any) -> None:
    with pytest.raises(InvalidInput, match="at least 1 frame"):
        Pacer(LateClock(), 0.02, max_burst=burst)
