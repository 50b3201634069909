"""How many seat commands the model decides and applies per second, in one thread: the best of five runs.

Commands and actors exist beforehand; a command is `decide`, then `apply` of every event. The baseline is a loop that
does nothing but what any implementation must: one frozen dataclass per command, and one entry of a dict set or deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from time import perf_counter

from utd_core.model.codec import dump, load
from utd_core.model.command import Actor, Command, Context
from utd_core.model.commands import (
    ClearSeat,
    JoinRoom,
    LeaveSeat,
    LockSeat,
    MoveSeat,
    MuteSeat,
    SwapSeats,
    TakeSeat,
    UnlockSeat,
    UnmuteSeat,
)
from utd_core.model.room import Room, apply
from utd_core.model.rules import decide_room
from utd_core.model.stream_type import UTDStreamType

from . import AtLeast, AtMost, Baseline, Result

REPEATS = 5
COMMANDS = 50_000
NOW = 1_000.0
ROOM = "benchmark"
HOST = Actor("host")

Round = list[tuple[Actor, Command]]
"""Commands that leave the room as it was, so that they can be given again and again."""


def run() -> list[Result]:
    baseline = Baseline("dataclass and dict", best(change_a_dict))
    few, many = best(lambda: give(8, take_and_leave(8))), best(lambda: give(8, take_and_leave(8), audience=100_000))
    return [
        Result("take and leave, 8 seats", few, "1/s", AtLeast(100_000), baseline),
        Result("take and leave, 100 seats", best(lambda: give(100, take_and_leave(100))), "1/s", baseline=baseline),
        Result("every seat command in turn, 8 seats", best(lambda: give(8, all_kinds())), "1/s", baseline=baseline),
        Result("cost among 100,000 listeners, to that among 10", few / many, "x", AtMost(1.2)),
        Result("a room with 8 seats to JSON and back", best(to_json_and_back), "1/s"),
    ]


def best(measure: Callable[[], float]) -> float:
    return max(measure() for _ in range(REPEATS))


def give(seats: int, commands: Round, audience: int = 10) -> float:
    """Commands per second."""
    people = [HOST.identity, *(f"speaker-{n}" for n in range(seats)), *(f"listener-{n}" for n in range(audience))]
    present = dict.fromkeys(people, ("phone",))
    room = a_room(seats)
    given = list(islice(cycle(commands), COMMANDS))
    started = perf_counter()
    for actor, command in given:
        for event in decide_room(room, command, Context(actor, NOW, present)):
            room = apply(room, event)
    return COMMANDS / (perf_counter() - started)


def a_room(seats: int) -> Room:
    join = JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=True, seat_count=seats)
    room: Room | None = None
    for event in decide_room(None, join, Context(HOST, NOW)):
        room = apply(room, event)
    assert room is not None
    return room


def take_and_leave(seats: int) -> Round:
    speakers = [Actor(f"speaker-{number}") for number in range(seats)]
    takes: Round = [(speaker, TakeSeat(room=ROOM, index=index)) for index, speaker in enumerate(speakers)]
    return takes + [(speaker, LeaveSeat(room=ROOM)) for speaker in speakers]


def all_kinds() -> Round:
    one, two = Actor("speaker-0"), Actor("speaker-1")
    return [
        (one, TakeSeat(room=ROOM)),
        (two, TakeSeat(room=ROOM, index=1)),
        (HOST, MuteSeat(room=ROOM, index=0)),
        (HOST, SwapSeats(room=ROOM, first=0, second=1)),
        (one, MoveSeat(room=ROOM, index=7)),
        (HOST, UnmuteSeat(room=ROOM, index=7)),
        (two, LeaveSeat(room=ROOM)),
        (HOST, LockSeat(room=ROOM, index=0)),
        (HOST, UnlockSeat(room=ROOM, index=0)),
        (HOST, ClearSeat(room=ROOM, index=7)),
    ]


def to_json_and_back() -> float:
    room = a_room(8)
    rounds = 2_000
    started = perf_counter()
    for _ in range(rounds):
        load(Room, dump(room))
    return rounds / (perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Change:
    """What a seat command is at the very least."""

    index: int
    identity: str | None
    by: str


def change_a_dict() -> float:
    seats: dict[int, str] = {}
    numbers = list(islice(cycle(range(16)), COMMANDS))
    started = perf_counter()
    for number in numbers:
        change = Change(number % 8, "speaker" if number < 8 else None, "speaker")
        if change.identity is not None:
            seats[change.index] = change.identity
        else:
            del seats[change.index]
    return COMMANDS / (perf_counter() - started)
