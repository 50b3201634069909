"""Calls between four people with two devices each: dialled, answered, refused, lost, and timed out, in any order."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from utd_core.errors import InvalidInput, Refused, UTDStreamException
from utd_core.model import call as calls
from utd_core.model.call import (
    CALL,
    RECONNECT_GRACE,
    Call,
    CallAccepted,
    CallEnded,
    CallStarted,
    UTDCallStatus,
    deadline,
)
from utd_core.model.codec import dump, load, load_event
from utd_core.model.command import Command
from utd_core.model.commands import (
    AcceptCall,
    BusyCall,
    CancelCall,
    EndCall,
    GetCall,
    Internal,
    PartyBanned,
    PartyConnected,
    PartyDisconnected,
    RejectCall,
    RingCall,
    StartCall,
    Tick,
)
from utd_core.model.event import Event
from utd_core.model.grants import NOTHING, affected, call_grant_of
from utd_core.model.identifiers import SERVER, SYSTEM
from utd_core.model.stream_type import UTDStreamType

from .fuzz import Explorer, explore
from .world import CallWorld, parties, says_what_to_do

PEOPLE = ("ann", "bob", "cem", "dai")
people = st.sampled_from(PEOPLE)
devices = st.sampled_from(["phone", "tablet"])
seconds = st.sampled_from([0.5, 4.0, 10.0, RECONNECT_GRACE, 31.0])
kinds = st.sampled_from([RingCall, AcceptCall, AcceptCall, RejectCall, BusyCall, CancelCall, EndCall, GetCall])
news = st.sampled_from([PartyConnected, PartyDisconnected, PartyBanned])


@dataclass
class Heard:
    """What somebody who listens to a call has heard of it; `mirror` is built of that alone."""

    log: list[tuple[str, bytes]] = field(default_factory=list)
    mirror: Call | None = None
    ends: list[CallEnded] = field(default_factory=list)
    answers: list[CallAccepted] = field(default_factory=list)


class CallMachine(Explorer):
    """Any number of calls, one after the other or beside each other."""

    name = "calls"

    @initialize()
    def begin(self) -> None:
        self.world = CallWorld()
        self.heard: dict[str, Heard] = {}
        self.refusal: UTDStreamException | None = None

    def attempt(
        self, by: str, command: Command | Internal, *, device: str = "phone", id: str | None = None
    ) -> list[Event]:
        world = self.world
        before = {key: dump(call) for key, call in world.calls.items()}
        grants = self.grants(id)
        self.refusal = None
        try:
            events = world.give(by, command, device=device, id=id)
        except (Refused, InvalidInput) as refusal:
            self.refused()
            self.refusal = refusal
            assert {key: dump(call) for key, call in world.calls.items()} == before, "a refusal changed a call"
            return []
        id = world.call.id if type(command) is StartCall else id
        assert id is not None
        self.listen(id, events)
        if not any(affected(event) is None for event in events):
            whom = {identity for event in events for identity in affected(event) or ()}
            changed = {who for who, grant in self.grants(id).items() if grants.get(who, NOTHING) != grant}
            assert changed <= whom, "a grant changed that no event speaks of"
        return events

    def grants(self, id: str | None) -> dict[str, object]:
        call = self.world.calls.get(id or "")
        return {} if call is None else {who: call_grant_of(call, who) for who in PEOPLE}

    def listen(self, id: str, events: list[Event]) -> None:
        heard = self.heard.setdefault(id, Heard())
        for event in events:
            data = dump(event)
            heard.log.append((event.type, data))
            told = load_event(event.type, data)
            assert told == event
            heard.mirror = calls.apply(heard.mirror, told)
            if isinstance(event, CallEnded):
                heard.ends.append(event)
            elif isinstance(event, CallAccepted):
                heard.answers.append(event)

    @rule(
        caller=people,
        callee=people,
        device=devices,
        ring_timeout=st.sampled_from([5.0, 30.0, 180.0]),
        max_duration=st.none() | st.sampled_from([3.0, 60.0]),
    )
    def dial(self, caller: str, callee: str, device: str, ring_timeout: float, max_duration: float | None) -> None:
        engaged = self.world.engaged
        command = StartCall(
            type=UTDStreamType.AUDIO_CALL, callee=callee, ring_timeout=ring_timeout, max_duration=max_duration
        )
        events = self.attempt(caller, command, device=device)
        busy = caller == callee or bool({caller, callee} & engaged)
        assert bool(events) is not busy
        assert all(isinstance(event, CallStarted) for event in events)

    def ongoing(self) -> list[str]:
        return [id for id, call in self.world.calls.items() if not call.status.is_terminal]

    @precondition(lambda self: bool(self.ongoing()))
    @rule(data=st.data(), device=devices, kind=kinds)
    def a_party_says(self, data: st.DataObject, device: str, kind: type[Command]) -> None:
        call = self.world.calls[data.draw(st.sampled_from(self.ongoing()))]
        callees = kind in (RingCall, AcceptCall, RejectCall, BusyCall)
        by = call.callee if callees else data.draw(st.sampled_from(parties(call)))
        self.attempt(by, kind(id=call.id), device=device, id=call.id)

    @precondition(lambda self: self.world.calls)
    @rule(data=st.data(), by=st.sampled_from([*PEOPLE, SERVER]), device=devices, kind=kinds)
    def anybody_says(self, data: st.DataObject, by: str, device: str, kind: type[Command]) -> None:
        id = data.draw(st.sampled_from(sorted(self.world.calls)))
        call = self.world.calls[id]
        over = call.status.is_terminal
        events = self.attempt(by, kind(id=id), device=device, id=id)
        if by not in (*parties(call), SERVER):
            assert self.refusal is not None
            assert self.refusal.code == "call_not_found"
        if over:
            assert events == []

    @precondition(lambda self: bool(self.ongoing()))
    @rule(data=st.data(), kind=st.sampled_from([PartyConnected, PartyDisconnected]))
    def a_party_comes_or_goes(self, data: st.DataObject, kind: type[PartyConnected | PartyDisconnected]) -> None:
        call = self.world.calls[data.draw(st.sampled_from(self.ongoing()))]
        self.attempt("", kind(data.draw(st.sampled_from(parties(call)))), id=call.id)

    @precondition(lambda self: self.world.calls)
    @rule(data=st.data(), who=people, kind=news)
    def something_is_told(
        self,
        data: st.DataObject,
        who: str,
        kind: type[PartyConnected | PartyDisconnected | PartyBanned],
    ) -> None:
        id = data.draw(st.sampled_from(sorted(self.world.calls)))
        self.attempt("", kind(who), id=id)
        assert self.refusal is None, "news are never refused"

    @rule(passed=seconds, tell=st.booleans())
    def wait(self, passed: float, tell: bool) -> None:
        """Time passes; the engine notices at each deadline, or only afterwards."""
        until = self.world.now + passed
        for id, call in list(self.world.calls.items()):
            due = deadline(call)
            if due is None or due > until:
                continue
            self.world.now = due if tell else until
            assert self.attempt("", Tick(), id=id), "a deadline has come and nothing happened"
            following = deadline(self.world.calls[id])
            assert following is None or following > self.world.now, "the same deadline would come again and again"
        self.world.now = until

    @rule()
    def tick_before_anything_is_due(self) -> None:
        for id, call in self.world.calls.items():
            due = deadline(call)
            if due is None or due > self.world.now:
                assert self.attempt("", Tick(), id=id) == []

    @invariant()
    def a_refusal_says_what_to_do(self) -> None:
        assert self.refusal is None or says_what_to_do(self.refusal), self.refusal

    @invariant()
    def a_call_ends_exactly_once_and_says_why_and_by_whom(self) -> None:
        for id, call in self.world.calls.items():
            ends = self.heard[id].ends
            assert len(ends) == call.status.is_terminal
            for end in ends:
                assert end.reason
                assert end.by
                assert (call.status, call.end_reason, call.ended_by, call.ended_at) == (
                    end.status,
                    end.reason,
                    end.by,
                    end.at,
                )
                assert call.ended_party == end.party
                assert (end.party is not None) == (end.by == SYSTEM and end.reason in ("banned", "disconnected"))

    @invariant()
    def one_device_answers(self) -> None:
        for id, call in self.world.calls.items():
            answers = self.heard[id].answers
            assert len(answers) <= 1
            assert (call.answered_at is None) is not bool(answers)
            assert call.callee_device == (answers[0].device if answers else "")

    @invariant()
    def nobody_is_in_two_calls_at_once(self) -> None:
        engaged = [who for call in self.world.calls.values() if not call.status.is_terminal for who in parties(call)]
        assert len(engaged) == len(set(engaged))

    @invariant()
    def a_publisher_holds_a_side_of_a_call_that_goes_on(self) -> None:
        for call in self.world.calls.values():
            for who in PEOPLE:
                if call_grant_of(call, who).can_publish:
                    assert who in parties(call)
                    assert not call.status.is_terminal
                    assert who == call.caller or call.status is UTDCallStatus.ACTIVE
            if call.status is UTDCallStatus.ACTIVE:
                assert all(call_grant_of(call, who).can_publish for who in parties(call))

    @invariant()
    def only_parties_of_an_active_call_are_missed(self) -> None:
        for call in self.world.calls.values():
            assert set(call.absent) <= set(parties(call))
            assert call.status is UTDCallStatus.ACTIVE or not call.absent

    @invariant()
    def an_unanswered_call_has_a_deadline_and_an_ended_one_has_none(self) -> None:
        for call in self.world.calls.values():
            if call.status in CALL.final:
                assert deadline(call) is None
            elif call.answered_at is None:
                assert deadline(call) == call.created_at + call.ring_timeout

    @invariant()
    def whoever_has_only_the_events_has_the_same_state(self) -> None:
        for id, call in self.world.calls.items():
            assert self.heard[id].mirror == call

    def teardown(self) -> None:
        """Replaying all events from the start gives the same state, and so does the JSON of the state."""
        for id, heard in self.heard.items():
            replayed: Call | None = None
            for type_name, data in heard.log:
                replayed = calls.apply(replayed, load_event(type_name, data))
            assert replayed == self.world.calls[id]
            assert load(Call, dump(self.world.calls[id])) == replayed


def test_call_machine() -> None:
    explore(CallMachine, runs=60, share=0.1)
