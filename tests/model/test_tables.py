"""Every (state, trigger) cell of every table: in the table itself, and through the commands that pull the trigger."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from enum import StrEnum
from itertools import product
from typing import Any

import pytest

import utd_core.model
from utd_core.errors import EXCEPTION_OF, ErrorCode, UTDStreamException
from utd_core.model.call import CALL, CallTrigger, UTDCallStatus
from utd_core.model.codec import dump
from utd_core.model.commands import (
    AcceptCall,
    AcceptRequest,
    BusyCall,
    CancelCall,
    CancelRequest,
    ClearSeat,
    DemoteFromStage,
    EndCall,
    EndRoom,
    GoLive,
    LockSeat,
    PromoteToStage,
    RejectCall,
    RejectRequest,
    RingCall,
    StopLive,
    TakeSeat,
    UnlockSeat,
)
from utd_core.model.identifiers import SERVER
from utd_core.model.machine import Machine
from utd_core.model.request import REQUEST, RequestKind, RequestState, RequestTrigger
from utd_core.model.room import ROOM, Phase, PhaseTrigger
from utd_core.model.seats import SEAT, SeatState, SeatTrigger
from utd_core.model.session import SESSION
from utd_core.model.stage import STAGE, PlaceState, PlaceTrigger, place_of

from .rulebook import rule
from .world import LOUNGE, CallWorld, RoomWorld, a_room, a_stream, says_what_to_do

ONLY_TRUTH = (
    "Tables are the only truth of what may follow what: `decide` asks them, the diagrams in the docs are drawn from "
    "them, and tests walk every (state, trigger) cell."
)
MACHINES: tuple[Machine[Any, Any], ...] = (ROOM, SEAT, STAGE, REQUEST, CALL, SESSION)


def states(machine: Machine[Any, Any]) -> list[StrEnum]:
    kind: type[StrEnum] = machine.states
    return list(kind)


def triggers(machine: Machine[Any, Any]) -> list[StrEnum]:
    kind: type[StrEnum] = machine.triggers
    return list(kind)


CELLS = [(machine, *cell) for machine in MACHINES for cell in product(states(machine), triggers(machine))]


def cell_name(value: object) -> str | None:
    return value.name.replace(" ", "_") if isinstance(value, Machine) else getattr(value, "value", None)


def test_these_are_all_the_machines_of_the_model() -> None:
    found: list[Machine[Any, Any]] = []
    for module in pkgutil.walk_packages(utd_core.model.__path__, "utd_core.model."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Machine) and not any(value is known for known in found):
                found.append(value)
    assert {machine.name for machine in found} == {machine.name for machine in MACHINES}
    assert len(found) == len(MACHINES)


@rule("A missing cell is a refusal, never a crash.")
@pytest.mark.parametrize(("machine", "state", "trigger"), CELLS, ids=cell_name)
def test_a_cell_leads_to_a_state_or_is_a_conflict_that_names_a_code_and_the_next_step(
    machine: Machine[Any, Any], state: StrEnum, trigger: StrEnum
) -> None:
    allowed = (state, trigger) in machine.table
    assert machine.allows(state, trigger) is allowed
    if allowed:
        assert machine.next(state, trigger) is machine.table[state, trigger]
        assert machine.table[state, trigger] in states(machine)
        return
    with pytest.raises(UTDStreamException) as refusal:
        machine.next(state, trigger)
    code, words = machine.refusals.get((state, trigger)) or machine.refusals.get((state, None)) or ("conflict", "")
    assert refusal.value.status_code == 409
    assert refusal.value.code == code
    assert type(refusal.value) is EXCEPTION_OF[ErrorCode(code)]
    assert words in refusal.value.message
    assert state.value in refusal.value.message
    assert trigger.value.replace("_", " ") in refusal.value.message
    assert says_what_to_do(refusal.value), refusal.value


@pytest.mark.parametrize("machine", MACHINES, ids=cell_name)
def test_every_state_can_be_reached(machine: Machine[Any, Any]) -> None:
    reached = {machine.initial, *machine.also_initial}
    for _ in states(machine):
        reached |= {after for (before, _), after in machine.table.items() if before in reached}
    assert reached == set(states(machine))


@pytest.mark.parametrize("machine", MACHINES, ids=cell_name)
def test_every_refusal_is_of_a_cell_that_is_missing(machine: Machine[Any, Any]) -> None:
    for state, trigger in machine.refusals:
        cells = triggers(machine) if trigger is None else [trigger]
        assert any((state, cell) not in machine.table for cell in cells)


@pytest.mark.parametrize("machine", MACHINES, ids=cell_name)
def test_every_trigger_does_something_somewhere(machine: Machine[Any, Any]) -> None:
    assert {trigger for _, trigger in machine.table} == set(triggers(machine))


@pytest.mark.parametrize(
    ("machine", "final"),
    [
        (ROOM, {"ended"}),
        (SEAT, set()),
        (STAGE, set()),
        (REQUEST, {"accepted", "rejected", "cancelled", "expired", "failed"}),
        (CALL, {"ended", "rejected", "busy", "missed"}),
        (SESSION, {"closed"}),
    ],
    ids=cell_name,
)
def test_nothing_leads_out_of_a_final_state(machine: Machine[Any, Any], final: set[str]) -> None:
    assert {state.value for state in machine.final} == final


# Once more, through the commands: a world in each state, and for each trigger what pulls it.

Attempt = Callable[[], Any]


def check(machine: Machine[Any, Any], before: StrEnum, trigger: StrEnum, attempt: Attempt, state: Attempt) -> None:
    """What the table says is what happens."""
    assert state() is before
    if machine.allows(before, trigger):
        attempt()
        assert state() is machine.table[before, trigger]
        return
    with pytest.raises(UTDStreamException) as refusal:
        attempt()
    assert refusal.value.status_code == 409
    assert refusal.value.code == machine.refusal(before, trigger).code
    assert says_what_to_do(refusal.value), refusal.value
    assert state() is before


@rule(ONLY_TRUTH)
@pytest.mark.parametrize(("phase", "trigger"), list(product(Phase, PhaseTrigger)), ids=cell_name)
def test_a_room_follows_its_table(phase: Phase, trigger: PhaseTrigger) -> None:
    world = a_room(backstage=phase is Phase.BACKSTAGE)
    if phase is Phase.ENDED:
        world.give("host", EndRoom(room=LOUNGE))
    command = {
        PhaseTrigger.GO_LIVE: GoLive(room=LOUNGE),
        PhaseTrigger.STOP_LIVE: StopLive(room=LOUNGE),
        PhaseTrigger.END: EndRoom(room=LOUNGE),
    }[trigger]
    check(ROOM, phase, trigger, lambda: world.give("host", command), lambda: world.room.phase)


@rule(ONLY_TRUTH)
@pytest.mark.parametrize(("seat", "trigger"), list(product(SeatState, SeatTrigger)), ids=cell_name)
def test_a_seat_follows_its_table(seat: SeatState, trigger: SeatTrigger) -> None:
    world = a_room("sitter", "guest")
    if seat is SeatState.OCCUPIED:
        world.seat("sitter", 2)
    elif seat is SeatState.LOCKED:
        world.give("host", LockSeat(room=LOUNGE, index=2))
    attempt: Attempt = {
        SeatTrigger.TAKE: lambda: world.give("guest", TakeSeat(room=LOUNGE, index=2)),
        SeatTrigger.LEAVE: lambda: world.give("host", ClearSeat(room=LOUNGE, index=2)),
        SeatTrigger.LOCK: lambda: world.give("host", LockSeat(room=LOUNGE, index=2)),
        SeatTrigger.UNLOCK: lambda: world.give("host", UnlockSeat(room=LOUNGE, index=2)),
    }[trigger]
    check(SEAT, seat, trigger, attempt, lambda: world.seat_at(2).state)


@rule(ONLY_TRUTH)
@pytest.mark.parametrize(("place", "trigger"), list(product(PlaceState, PlaceTrigger)), ids=cell_name)
def test_a_stage_place_follows_its_table(place: PlaceState, trigger: PlaceTrigger) -> None:
    world = a_stream("viewer")
    if place is PlaceState.ON:
        world.stage("viewer")
    command = {
        PlaceTrigger.ENTER: PromoteToStage(room=LOUNGE, identity="viewer"),
        PlaceTrigger.LEAVE: DemoteFromStage(room=LOUNGE, identity="viewer"),
    }[trigger]
    check(STAGE, place, trigger, lambda: world.give("host", command), lambda: place_of(world.room.stage, "viewer"))


def pull_on_request(world: RoomWorld, id: int, trigger: RequestTrigger) -> None:
    match trigger:
        case RequestTrigger.ACCEPT:
            world.give("host", AcceptRequest(room=LOUNGE, id=id))
        case RequestTrigger.REJECT:
            world.give("host", RejectRequest(room=LOUNGE, id=id))
        case RequestTrigger.CANCEL:
            world.give("asker", CancelRequest(room=LOUNGE, id=id))
        case RequestTrigger.EXPIRE:
            world.wait(world.room.settings.request_timeout)
        case RequestTrigger.FAIL:
            world.give("asker", TakeSeat(room=LOUNGE))


@rule(ONLY_TRUTH)
@pytest.mark.parametrize(("request_state", "trigger"), list(product(RequestState, RequestTrigger)), ids=cell_name)
def test_a_request_follows_its_table(request_state: RequestState, trigger: RequestTrigger) -> None:
    world = a_room("asker")
    id = world.ask("asker", RequestKind.SPEAK)

    def state() -> RequestState:
        return (world.room.requests.get(id) or world.room.ended_requests[id]).state

    for first in RequestTrigger:
        if request_state is REQUEST.table[RequestState.PENDING, first]:
            pull_on_request(world, id, first)
    if trigger in (RequestTrigger.EXPIRE, RequestTrigger.FAIL) and request_state in REQUEST.final:
        # Nobody asks for these two: time passes, or somebody sits down, and what has ended stays as it is.
        before = dump(world.room.ended_requests[id])
        if world.seat_of("asker") is None:
            pull_on_request(world, id, trigger)
        assert dump(world.room.ended_requests[id]) == before
        return
    check(REQUEST, request_state, trigger, lambda: pull_on_request(world, id, trigger), state)


def pull_on_call(world: CallWorld, trigger: CallTrigger) -> None:
    id = world.call.id
    match trigger:
        case CallTrigger.RING:
            world.give("bob", RingCall(id=id))
        case CallTrigger.ACCEPT:
            world.give("bob", AcceptCall(id=id))
        case CallTrigger.REJECT:
            world.give("bob", RejectCall(id=id))
        case CallTrigger.REPORT_BUSY:
            world.give("bob", BusyCall(id=id))
        case CallTrigger.CANCEL:
            world.give("ann", CancelCall(id=id))
        case CallTrigger.TIME_OUT:
            world.wait(world.call.ring_timeout)
        case CallTrigger.END:
            world.give("ann", EndCall(id=id))


ROADS: dict[UTDCallStatus, tuple[CallTrigger, ...]] = {
    UTDCallStatus.INITIATING: (),
    UTDCallStatus.RINGING: (CallTrigger.RING,),
    UTDCallStatus.ACTIVE: (CallTrigger.RING, CallTrigger.ACCEPT),
    UTDCallStatus.ENDED: (CallTrigger.ACCEPT, CallTrigger.END),
    UTDCallStatus.REJECTED: (CallTrigger.RING, CallTrigger.REJECT),
    UTDCallStatus.BUSY: (CallTrigger.REPORT_BUSY,),
    UTDCallStatus.MISSED: (CallTrigger.RING, CallTrigger.TIME_OUT),
}


@rule(ONLY_TRUTH)
@pytest.mark.parametrize(("status", "trigger"), list(product(UTDCallStatus, CallTrigger)), ids=cell_name)
def test_a_call_follows_its_table(status: UTDCallStatus, trigger: CallTrigger) -> None:
    world = CallWorld()
    world.start()
    for step in ROADS[status]:
        pull_on_call(world, step)
    if trigger is CallTrigger.TIME_OUT and not CALL.allows(status, trigger):
        # Nobody asks for this one: time passes, and whoever does not ring hears nothing of it.
        before = dump(world.call)
        pull_on_call(world, trigger)
        assert dump(world.call) == before
        return
    if trigger is CallTrigger.END and status in (UTDCallStatus.INITIATING, UTDCallStatus.RINGING):
        # The command that ends a call is the caller's cancel as long as nobody has answered.
        trigger = CallTrigger.CANCEL
    check(CALL, status, trigger, lambda: pull_on_call(world, trigger), lambda: world.call.status)


def test_the_refusal_of_a_cell_without_words_of_its_own_is_a_plain_conflict() -> None:
    bare = Machine(
        "thing", PlaceState, PlaceTrigger, PlaceState.OFF, {(PlaceState.OFF, PlaceTrigger.ENTER): PlaceState.ON}
    )
    refusal = bare.refusal(PlaceState.ON, PlaceTrigger.ENTER)
    assert (refusal.code, refusal.status_code) == (ErrorCode.CONFLICT, 409)
    assert says_what_to_do(refusal)


def test_the_server_meets_the_same_tables() -> None:
    world = a_room()
    world.give(SERVER, StopLive(room=LOUNGE))
    with world.refused(ErrorCode.WRONG_PHASE):
        world.give(SERVER, StopLive(room=LOUNGE))
