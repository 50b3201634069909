"""Requests against a second, naive implementation that knows of each one when and how it must end."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from utd_core.model.command import Command
from utd_core.model.commands import (
    AcceptRequest,
    CancelRequest,
    EndRoom,
    LeaveSeat,
    MakeRequest,
    RejectRequest,
    TakeSeat,
    Tick,
)
from utd_core.model.request import RequestEnded, RequestKind, RequestState
from utd_core.model.room import Phase

from .fuzz import Explorer, explore
from .world import LOUNGE, RoomWorld, a_room

HOST = "host"
GUESTS = ("ann", "bob", "cem")
SEATS = 2
TIMEOUT = 30.0

guests = st.sampled_from(GUESTS)
SPEAK, INVITE = RequestKind.SPEAK, RequestKind.SPEAK_INVITE


@dataclass
class Asked:
    """A request as the one who waits for it sees it."""

    kind: RequestKind
    guest: str
    expires_at: float
    ends: list[str] = field(default_factory=list)

    @property
    def is_pending(self) -> bool:
        return not self.ends


class RequestMachine(Explorer):
    """Guests ask for one of two seats, or are invited to one; they come and go, and time passes."""

    name = "requests"

    world: RoomWorld

    @initialize()
    def begin(self) -> None:
        self.world = a_room(*GUESTS, seats=SEATS, request_timeout=TIMEOUT, empty_timeout=None)
        self.asked: dict[int, Asked] = {}
        self.ended_by_event: list[int] = []

    def is_over(self) -> bool:
        return self.world.room.phase is Phase.ENDED

    def pending(self, guest: str | None = None) -> list[Asked]:
        return [asked for asked in self.asked.values() if asked.is_pending and guest in (None, asked.guest)]

    def end_all(self, requests: list[Asked], **by_kind: str) -> None:
        for asked in requests:
            asked.ends.append(by_kind.get(asked.kind.value) or by_kind["all"])

    def give(self, by: str, command: Command, predicted: str | None) -> bool:
        if self.is_over():
            predicted = "room_ended"
        events = self.agree(self.world, by, command, predicted)
        self.ended_by_event += [event.id for event in events if isinstance(event, RequestEnded)]
        return predicted is None

    @rule(guest=guests, kind=st.sampled_from([SPEAK, INVITE]))
    def ask(self, guest: str, kind: RequestKind) -> None:
        by, to = (guest, None) if kind is SPEAK else (HOST, guest)
        predicted = None
        if kind is SPEAK and guest not in self.world.present:
            predicted = "not_joined"
        elif guest not in self.world.present:
            predicted = "participant_not_found"
        elif self.world.seat_of(guest) is not None:
            predicted = "already_seated"
        elif any(asked.kind is kind for asked in self.pending(guest)):
            predicted = "request_pending"
        if self.give(by, MakeRequest(room=LOUNGE, kind=kind, to=to), predicted):
            id: int = self.world.answer.id
            assert id not in self.asked
            self.asked[id] = Asked(kind, guest, self.world.now + TIMEOUT)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), way=st.sampled_from([AcceptRequest, RejectRequest, CancelRequest]))
    def answer(self, data: st.DataObject, way: type[AcceptRequest | RejectRequest | CancelRequest]) -> None:
        id = data.draw(st.sampled_from(sorted(self.asked)))
        asked = self.asked[id]
        answers, asks = (HOST, asked.guest) if asked.kind is SPEAK else (asked.guest, HOST)
        by = asks if way is CancelRequest else answers
        predicted = None
        if by not in self.world.present:
            predicted = "not_joined"
        elif not asked.is_pending:
            predicted = "request_ended"
        elif way is AcceptRequest and len(self.world.room.grid.occupants()) == SEATS:
            predicted = "no_free_seat"
        if self.give(by, way(room=LOUNGE, id=id), predicted):
            end = {AcceptRequest: "accepted", RejectRequest: "rejected", CancelRequest: "cancelled"}[way]
            asked.ends.append(end)
            if way is AcceptRequest:
                self.end_all(self.pending(asked.guest), all="failed")

    @rule(guest=guests)
    def sit(self, guest: str) -> None:
        predicted = None
        if guest not in self.world.present:
            predicted = "not_joined"
        elif self.world.seat_of(guest) is not None:
            predicted = "already_seated"
        elif len(self.world.room.grid.occupants()) == SEATS:
            predicted = "no_free_seat"
        if self.give(guest, TakeSeat(room=LOUNGE), predicted):
            self.end_all(self.pending(guest), all="failed")

    @rule(guest=guests)
    def stand_up(self, guest: str) -> None:
        seated = self.world.seat_of(guest) is not None
        present = guest in self.world.present
        self.give(guest, LeaveSeat(room=LOUNGE), None if seated else "not_seated" if present else "not_joined")

    @rule(guest=guests)
    def go(self, guest: str) -> None:
        events = self.world.lose(guest)
        self.ended_by_event += [event.id for event in events if isinstance(event, RequestEnded)]
        self.end_all(self.pending(guest), speak="cancelled", speak_invite="failed")

    @precondition(lambda self: not self.is_over())
    @rule(guest=guests)
    def come_back(self, guest: str) -> None:
        self.world.join(guest)

    @rule(passed=st.sampled_from([1.0, 10.0, 29.5, 30.0]))
    def wait(self, passed: float) -> None:
        self.world.now += passed
        events = self.world.give("", Tick())
        self.ended_by_event += [event.id for event in events if isinstance(event, RequestEnded)]
        if not self.is_over():
            self.end_all([asked for asked in self.pending() if asked.expires_at <= self.world.now], all="expired")

    @precondition(lambda self: len(self.asked) > 8)
    @rule()
    def end_the_room(self) -> None:
        if self.give(HOST, EndRoom(room=LOUNGE), None):
            self.end_all(self.pending(), all="failed")

    @invariant()
    def both_implementations_agree_on_every_request(self) -> None:
        room = self.world.room
        for id, asked in self.asked.items():
            if asked.is_pending:
                assert room.requests[id].state is RequestState.PENDING
                assert room.requests[id].subject == asked.guest
            else:
                assert id not in room.requests
                if id in room.ended_requests:
                    assert room.ended_requests[id].state.value == asked.ends[0]
                    assert room.ended_requests[id].reason
                    assert room.ended_requests[id].ended_by

    @invariant()
    def a_request_ends_exactly_once(self) -> None:
        assert all(len(asked.ends) <= 1 for asked in self.asked.values())
        assert sorted(self.ended_by_event) == sorted(id for id, asked in self.asked.items() if asked.ends)


def test_request_machine() -> None:
    explore(RequestMachine, runs=60, share=0.1)
