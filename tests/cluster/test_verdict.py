"""The verdict finds what it is there for: each of these crimes was committed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from utd_core.model.event import Event
from utd_core.model.room import MetadataChanged
from utd_core.model.seats import SeatLeft, SeatTaken

from .people import Host, Listener, Person, Speaker
from .studio import Studio
from .verdict import judge_deeds, judge_hearing

EVENTS: list[Event] = [MetadataChanged({"n": n}, n, "host") for n in range(1, 7)]


@pytest.fixture
async def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def heard(studio: Studio, *runs: list[Event], joined_at: int = 0) -> Person:
    listener = Listener("ann", "http://nowhere.test", studio)
    listener.runs, listener.joined_at = list(runs), joined_at
    return listener


@pytest.mark.parametrize(
    ("runs", "joined_at"),
    [
        ([EVENTS], 0),
        ([EVENTS[2:]], 2),
        ([EVENTS[:2], EVENTS[4:]], 0),
        ([EVENTS[:2], [], EVENTS[2:]], 0),
        ([EVENTS[:3], []], 0),
        ([[]], 6),
    ],
    ids=["all", "all since it came", "a hole that was told", "holes of nothing", "read anew at last", "nothing"],
)
async def test_honest_hearing(studio: Studio, runs: list[list[Event]], joined_at: int) -> None:
    judge_hearing(heard(studio, *runs, joined_at=joined_at), EVENTS)


@pytest.mark.parametrize(
    "runs",
    [
        [[*EVENTS[:2], *EVENTS[3:]]],
        [EVENTS[1:]],
        [EVENTS[:5]],
        [[*EVENTS[:2], *EVENTS[1:]]],
        [[EVENTS[1], EVENTS[0], *EVENTS[2:]]],
        [EVENTS[:4], EVENTS[2:]],
    ],
    ids=["one is missing", "the first is", "the last is", "one came twice", "out of order", "again after a hole"],
)
async def test_dishonest_hearing(studio: Studio, runs: list[list[Event]]) -> None:
    with pytest.raises(AssertionError, match=r"missed an event|never happened|last events"):
        judge_hearing(heard(studio, *runs), EVENTS)


async def test_what_the_host_did(studio: Studio) -> None:
    host = Host("host", "http://nowhere.test", studio)
    host.done, host.unknown = [1, 2, 4, 6], [3, 5, 7]
    judge_deeds(host, EVENTS)
    with pytest.raises(AssertionError, match="lost"):
        judge_deeds(host, EVENTS[:-1])
    with pytest.raises(AssertionError, match="twice"):
        judge_deeds(host, [*EVENTS, EVENTS[0]])


async def test_what_a_speaker_did(studio: Studio) -> None:
    speaker = Speaker("ann", "http://nowhere.test", studio, 0)
    speaker.done, speaker.unknown = ["taken", "left"], ["taken"]
    taken, left = SeatTaken(0, "ann", "ann"), SeatLeft(0, "ann", "left", "ann")
    judge_deeds(speaker, [taken, left])
    judge_deeds(speaker, [taken, left, taken])
    for crime in ([taken], [taken, left, taken, left], [taken, taken, left]):
        with pytest.raises(AssertionError):
            judge_deeds(speaker, crime)
