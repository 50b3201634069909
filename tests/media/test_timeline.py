"""A recording has no holes, and every sound stands where its timestamp says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.errors import InvalidFrame
from utd_core.media import AudioFrame
from utd_core.media.sinks.timeline import Timeline

STEP = 20_000


def frame(at_us: int, sample_rate: int = 48_000) -> AudioFrame:
    return AudioFrame(bytes(2 * sample_rate // 50), sample_rate, 1, at_us)


@given(
    st.sampled_from([8_000, 44_100, 48_000]),
    st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 2, 50, 500]), st.integers(-9_000, 9_000)), max_size=60),
)
def test_every_frame_stands_within_a_frame_of_its_time(rate: int, steps: list[tuple[int, int]]) -> None:
    """`steps`: lost frames before this one, and the jitter of its timestamp in microseconds."""
    timeline = Timeline(rate)
    number, written = 0, 0
    for lost, jitter_us in steps:
        number += lost
        at_us = max(0, number * STEP + jitter_us)
        silence = timeline.place(frame(at_us, rate))
        assert silence is not None, "jitter alone drops no frame"
        written += silence
        assert timeline.position == written + rate // 50
        assert -rate / 100 - 1 <= written - at_us * rate / 1_000_000 < rate / 50, "half a frame early to one late"
        written = timeline.position
        number += 1
    assert timeline.dropped == 0
    assert timeline.position == timeline.filled + len(steps) * (rate // 50)


@given(st.lists(st.integers(0, 2_000_000), max_size=60))
def test_nothing_is_ever_written_twice(stamps: list[int]) -> None:
    timeline = Timeline(48_000)
    kept = 0
    for at_us in stamps:
        before = timeline.position
        silence = timeline.place(frame(at_us))
        if silence is None:
            assert timeline.position == before
        else:
            assert silence >= 0
            assert timeline.position == before + silence + 960
            kept += 1
    assert timeline.dropped == len(stamps) - kept
    assert timeline.position == timeline.filled + 960 * kept


def test_a_doubled_and_a_late_frame_are_dropped() -> None:
    timeline = Timeline(48_000)
    placed = [timeline.place(frame(at)) for at in (0, 20_000, 20_000, 60_000, 40_000, 80_000)]
    assert placed == [0, 0, None, 960, None, 0]
    assert (timeline.dropped, timeline.filled) == (2, 960)


def test_a_timestamp_of_another_world_is_refused_and_changes_nothing() -> None:
    timeline = Timeline(48_000)
    timeline.place(frame(0))
    assert timeline.place(frame(600_000_000)) is not None
    position = timeline.position
    with pytest.raises(InvalidFrame, match=r"stamp frames from the recording's beginning, as record\(\) does"):
        timeline.place(frame(1_700_000_000_000_000))
    assert timeline.position == position
