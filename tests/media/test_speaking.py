"""Who speaks: soon enough, not for a click, and without flapping, whatever levels come."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_core.media.conditions import quality_of
from utd_core.media.events import ConnectionQuality, Speaker
from utd_core.media.frames import AudioFrame
from utd_core.media.sinks.level import FLOOR_DBFS, measure
from utd_core.media.speaking import LOOK, LOUD, PAUSE, QUIET, REFRESH, Speaking, level_of
from utd_core.testing.contract.signals import tone

PATIENT = settings(deadline=None)
LEVELS = st.floats(FLOOR_DBFS, 0.0)
PEOPLE = ("ann", "bob", "cyd")
LOOKS = st.lists(st.dictionaries(st.sampled_from(PEOPLE), LEVELS), max_size=60)
SLACK = LOOK / 2

Told = list[tuple[float, tuple[Speaker, ...]]]


def play(looks: list[dict[str, float]]) -> Told:
    """What is told, and when (s)."""
    speaking, told = Speaking(), []
    for number, levels in enumerate(looks, start=1):
        if (speakers := speaking.look(number * LOOK, levels)) is not None:
            told.append((number * LOOK, speakers))
    return told


def names(speakers: tuple[Speaker, ...]) -> list[str]:
    return [speaker.identity for speaker in speakers]


def turns(told: Told, identity: str) -> list[float]:
    """When (s) somebody began to speak, ceased, began again, and so on."""
    found: list[float] = []
    for at, speakers in told:
        if (identity in names(speakers)) is not bool(len(found) % 2):
            found.append(round(at, 6))
    return found


def test_a_voice_is_told_within_a_third_of_a_second_and_its_end_half_a_second_after() -> None:
    assert turns(play([{"ann": -20.0}] * 10 + [{}] * 20), "ann") == [0.3, 1.0 + PAUSE]


@pytest.mark.parametrize("loud", [1, 2], ids=["one-look", "two-looks"])
def test_a_click_is_no_word(loud: int) -> None:
    assert play(([{"ann": -10.0}] * loud + [{}] * 8) * 5) == []


@pytest.mark.parametrize("breath", [0.1, 0.2, 0.4])
def test_a_breath_is_no_end(breath: float) -> None:
    words = [{"ann": -20.0}] * 5 + [{}] * round(breath / LOOK)
    assert turns(play(words * 10), "ann") == [0.3]


def test_noise_between_the_thresholds_neither_begins_nor_ends_a_speech() -> None:
    noise = {"ann": (LOUD + QUIET) / 2}
    assert play([noise] * 30) == []
    assert turns(play([{"ann": -20.0}] * 5 + [noise] * 30), "ann") == [0.3]


def test_the_loudest_is_first_and_equals_are_in_the_order_of_their_names() -> None:
    told = play([{"bob": -20.0, "ann": -20.0, "cyd": -10.0}] * 5)
    assert names(told[-1][1]) == ["cyd", "ann", "bob"]


def test_who_is_gone_speaks_no_more_at_once() -> None:
    speaking = Speaking()
    for number in range(5):
        speaking.look(number * LOOK, {"ann": -20.0, "bob": -20.0})
    assert names(speaking.forget("ann", 0.5) or ()) == ["bob"]
    assert speaking.forget("nobody", 0.5) is None


def test_when_all_is_quiet_nobody_is_remembered() -> None:
    speaking = Speaking()
    assert speaking.is_quiet
    for number in range(5):
        speaking.look(number * LOOK, {"ann": -20.0})
    before = speaking.is_quiet
    for number in range(5, 20):
        speaking.look(number * LOOK, {})
    assert (before, speaking.is_quiet) == (False, True)
    assert speaking.speakers == ()


@PATIENT
@given(LOOKS)
def test_no_voice_flaps_whatever_comes(looks: list[dict[str, float]]) -> None:
    told = play(looks)
    for identity in PEOPLE:
        for number, (before, after) in enumerate(pairwise(turns(told, identity))):
            # A speech holds for a pause after its last sound; a new one needs a word's time.
            assert after - before >= (LOOK if number % 2 else PAUSE) - SLACK


@PATIENT
@given(LOOKS)
def test_levels_are_told_no_more_often_than_agreed(looks: list[dict[str, float]]) -> None:
    told = play(looks)
    for (before, who), (after, then) in pairwise(told):
        assert set(names(who)) != set(names(then)) or after - before >= REFRESH - SLACK


@PATIENT
@given(LOOKS)
def test_speakers_are_sorted_and_their_levels_are_levels(looks: list[dict[str, float]]) -> None:
    for _, speakers in play(looks):
        levels = [speaker.level for speaker in speakers]
        assert levels == sorted(levels, reverse=True)
        assert all(FLOOR_DBFS <= level <= 0 for level in levels)
        assert len(set(names(speakers))) == len(speakers)


@PATIENT
@given(LOOKS)
def test_after_a_second_of_silence_nobody_speaks(looks: list[dict[str, float]]) -> None:
    told = play(looks + [{}] * 10)
    assert not told or told[-1][1] == ()


@pytest.mark.parametrize("amplitude", [0.001, 0.02, 0.4, 0.99])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_quick_level_is_the_level(amplitude: float, channels: int) -> None:
    frames = tone(*(440.0,) * channels, seconds=0.1, amplitude=amplitude)
    exact = sum(10 ** (measure(frame).rms / 10) for frame in frames) / len(frames)
    assert level_of(frames) == pytest.approx(10 * math.log10(exact), abs=0.5)


def test_nothing_and_silence_are_at_the_floor() -> None:
    assert level_of([]) == FLOOR_DBFS
    assert level_of([AudioFrame(bytes(1_920), 48_000, 1, 0)]) == FLOOR_DBFS


@pytest.mark.parametrize(
    ("figures", "quality"),
    [
        ({}, ConnectionQuality.EXCELLENT),
        ({"loss": 0.01, "round_trip": 0.1, "jitter": 0.02}, ConnectionQuality.EXCELLENT),
        ({"loss": 0.05}, ConnectionQuality.GOOD),
        ({"round_trip": 0.5}, ConnectionQuality.GOOD),
        ({"jitter": 0.1}, ConnectionQuality.GOOD),
        ({"loss": 0.2}, ConnectionQuality.POOR),
        ({"round_trip": 2.0}, ConnectionQuality.POOR),
        ({"loss": 0.01, "jitter": 0.3}, ConnectionQuality.POOR),
    ],
    ids=str,
)
def test_the_worst_figure_makes_the_quality(figures: dict[str, float], quality: ConnectionQuality) -> None:
    assert quality_of(**figures) is quality
