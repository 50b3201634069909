"""The seat rules against a second, naive implementation of them: dictionaries, and no thought of speed.

It predicts the code of every refusal and the whole grid after every success.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from utd_core.model.command import Command
from utd_core.model.commands import (
    ClearSeat,
    LeaveSeat,
    LockSeat,
    MoveSeat,
    MuteSeat,
    ReserveSeat,
    SetupSeats,
    SwapSeats,
    TakeSeat,
    UnlockSeat,
    UnmuteSeat,
)
from utd_core.model.seats import SeatMode

from .fuzz import Explorer, explore
from .world import LOUNGE, RoomWorld, a_room

HOST = "host"
PEOPLE = (HOST, "ann", "bob", "cem")
Index = int | Literal["any"]

people = st.sampled_from(PEOPLE)
numbers = st.integers(0, 19)
flags = st.booleans()
seldom = st.sampled_from([False, False, False, True])
counts = st.sampled_from([1, 2, 3, 3, 4, 4, 5, 5])


@dataclass
class Plain:
    """Who sits where, what is locked, who is muted, and for whom a seat is kept."""

    count: int
    by_request: bool = False
    sits: dict[str, int] = field(default_factory=dict)
    locks: dict[int, set[str]] = field(default_factory=dict)
    mutes: dict[str, set[str]] = field(default_factory=dict)
    kept: dict[int, str] = field(default_factory=dict)

    def locked(self, index: int, part: str = "take") -> bool:
        return part in self.locks.get(index, set())

    def sitter(self, index: int) -> str | None:
        return next((who for who, where in self.sits.items() if where == index), None)

    def find(self, who: str, index: int | str) -> int | str:
        """The seat that `who` would get, or why it gets none."""
        if isinstance(index, int):
            if index >= self.count:
                return "seat_out_of_range"
            if self.sitter(index):
                return "seat_taken"
            if self.locked(index):
                return "seat_locked"
            return "seat_reserved" if self.kept.get(index, who) != who else index
        is_open = [i for i in range(self.count) if not self.locked(i) and not self.sitter(i)]
        mine = [i for i in is_open if self.kept.get(i) == who]
        anyones = [i for i in is_open if i not in self.kept]
        return next(iter([*mine, *anyones]), "no_free_seat")

    def take(self, who: str, index: int | str) -> str | None:
        if who in self.sits:
            return "already_seated"
        found = self.find(who, index)
        if isinstance(found, str):
            return found
        if self.by_request and who != HOST and self.kept.get(found) != who:
            return "seats_by_request"
        self.sits[who] = found
        return None

    def leave(self, who: str) -> str | None:
        if who not in self.sits:
            return "not_seated"
        del self.sits[who]
        self.mutes.pop(who, None)
        return None

    def move(self, by: str, who: str, index: int | str) -> str | None:
        if by not in (who, HOST):
            return "forbidden"
        if who not in self.sits:
            return "not_seated"
        found = self.find(who, index)
        if isinstance(found, str):
            return found
        if by == who and by != HOST and self.by_request and self.kept.get(found) != who:
            return "forbidden"
        self.sits[who] = found
        return None

    def swap(self, first: int, second: int) -> str | None:
        if first == second:
            return "invalid_input"
        if max(first, second) >= self.count:
            return "seat_out_of_range"
        one, two = self.sitter(first), self.sitter(second)
        if one is None or two is None:
            return "seat_empty"
        if self.kept.get(first, two) != two or self.kept.get(second, one) != one:
            return "seat_reserved"
        self.sits[one], self.sits[two] = second, first
        return None

    def clear(self, index: int) -> str | None:
        if index >= self.count:
            return "seat_out_of_range"
        sitter = self.sitter(index)
        return "seat_empty" if sitter is None else self.leave(sitter)

    def lock(self, index: int, parts: set[str], locking: bool) -> str | None:
        if index >= self.count:
            return "seat_out_of_range"
        if not parts:
            return "invalid_input"
        before = self.locks.get(index, set())
        after = before | parts if locking else before - parts
        if after == before:
            return "seat_locked" if locking else "seat_not_locked"
        self.locks[index] = after
        sitter = self.sitter(index)
        if locking and "take" in parts and sitter is not None:
            self.leave(sitter)
        return None

    def mute(self, index: int, devices: set[str], muting: bool) -> str | None:
        if index >= self.count:
            return "seat_out_of_range"
        sitter = self.sitter(index)
        if sitter is None:
            return "seat_empty"
        if not devices:
            return "invalid_input"
        before = self.mutes.get(sitter, set())
        after = before | devices if muting else before - devices
        if after == before:
            return "seat_muted" if muting else "seat_not_muted"
        self.mutes[sitter] = after
        return None

    def keep(self, index: int, who: str | None) -> str | None:
        if index >= self.count:
            return "seat_out_of_range"
        if self.kept.get(index) == who:
            return "seat_reserved"
        self.kept.pop(index, None)
        if who is not None:
            self.kept[index] = who
        return None

    def set_up(self, count: int, by_request: bool) -> str | None:
        for who in [who for who, where in self.sits.items() if where >= count]:
            self.leave(who)
        self.locks = {index: parts for index, parts in self.locks.items() if index < count}
        self.kept = {index: who for index, who in self.kept.items() if index < count}
        self.count, self.by_request = count, by_request
        return None


class SeatMachine(Explorer):
    """A host and three listeners, who are all in the room."""

    name = "seats"

    world: RoomWorld
    plain: Plain

    @initialize(count=counts, by_request=seldom, seated=st.lists(people, unique=True))
    def begin(self, count: int, by_request: bool, seated: list[str]) -> None:
        mode = SeatMode.REQUEST if by_request else SeatMode.FREE
        self.world = a_room(*PEOPLE[1:], seats=count, seat_mode=mode)
        self.plain = Plain(count, by_request)
        for who in seated:
            self.take(who, None)

    def index(self, number: int) -> int:
        """A seat, and now and then one that is not there."""
        return self.plain.count if number == 19 else number % self.plain.count

    def somebody(self) -> bool:
        return bool(self.plain.sits)

    def give(self, by: str, command: Command, predicted: str | None) -> None:
        self.agree(self.world, by, command, predicted)

    @rule(by=people, number=st.none() | numbers)
    def take(self, by: str, number: int | None) -> None:
        index: Index = "any" if number is None else self.index(number)
        self.give(by, TakeSeat(room=LOUNGE, index=index), self.plain.take(by, index))

    @precondition(somebody)
    @rule(by=people)
    def leave(self, by: str) -> None:
        self.give(by, LeaveSeat(room=LOUNGE), self.plain.leave(by))

    @precondition(somebody)
    @rule(by=people, who=st.none() | people, number=st.none() | numbers)
    def move(self, by: str, who: str | None, number: int | None) -> None:
        index: Index = "any" if number is None else self.index(number)
        command = MoveSeat(room=LOUNGE, index=index, identity=who)
        self.give(by, command, self.plain.move(by, who or by, index))

    @precondition(somebody)
    @rule(one=numbers, other=numbers)
    def swap(self, one: int, other: int) -> None:
        first, second = self.index(one), self.index(other)
        self.give(HOST, SwapSeats(room=LOUNGE, first=first, second=second), self.plain.swap(first, second))

    @precondition(somebody)
    @rule(number=numbers)
    def clear(self, number: int) -> None:
        index = self.index(number)
        self.give(HOST, ClearSeat(room=LOUNGE, index=index), self.plain.clear(index))

    @rule(number=numbers, take=seldom, audio=flags, video=flags, locking=flags)
    def lock(self, number: int, take: bool, audio: bool, video: bool, locking: bool) -> None:
        index = self.index(number)
        kind = LockSeat if locking else UnlockSeat
        command = kind(room=LOUNGE, index=index, take=take, audio=audio, video=video)
        self.give(HOST, command, self.plain.lock(index, named(take=take, audio=audio, video=video), locking))

    @precondition(somebody)
    @rule(number=numbers, audio=flags, video=flags, muting=flags)
    def mute(self, number: int, audio: bool, video: bool, muting: bool) -> None:
        index = self.index(number)
        kind = MuteSeat if muting else UnmuteSeat
        command = kind(room=LOUNGE, index=index, audio=audio, video=video)
        self.give(HOST, command, self.plain.mute(index, named(audio=audio, video=video), muting))

    @rule(number=numbers, who=st.none() | people)
    def keep(self, number: int, who: str | None) -> None:
        index = self.index(number)
        self.give(HOST, ReserveSeat(room=LOUNGE, index=index, identity=who), self.plain.keep(index, who))

    @rule(count=counts, by_request=seldom)
    def set_up(self, count: int, by_request: bool) -> None:
        mode = SeatMode.REQUEST if by_request else SeatMode.FREE
        command = SetupSeats(room=LOUNGE, seat_count=count, seat_mode=mode)
        self.give(HOST, command, self.plain.set_up(count, by_request))

    @invariant()
    def both_implementations_have_the_same_grid(self) -> None:
        plain, grid = self.plain, self.world.room.grid
        assert (len(grid.seats), grid.mode is SeatMode.REQUEST) == (plain.count, plain.by_request)
        for seat in grid.seats:
            assert seat.identity == plain.sitter(seat.index)
            assert seat.reserved_for == plain.kept.get(seat.index)
            locks = named(take=seat.locked, audio=seat.audio_locked, video=seat.video_locked)
            assert locks == plain.locks.get(seat.index, set())
            mutes = plain.mutes.get(seat.identity, set()) if seat.identity is not None else set()
            assert named(audio=seat.muted_audio, video=seat.muted_video) == mutes

    @invariant()
    def whoever_sits_publishes_unless_it_is_locked_or_muted(self) -> None:
        for who in PEOPLE:
            index = self.plain.sits.get(who)
            silenced = index is None or self.plain.locked(index, "audio") or "audio" in self.plain.mutes.get(who, set())
            assert self.world.grant(who).can_publish is not silenced


def named(**flags: bool) -> set[str]:
    return {name for name, flag in flags.items() if flag}


def test_seat_machine() -> None:
    explore(SeatMachine, runs=80, share=0.15)
