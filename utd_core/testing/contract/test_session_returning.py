"""Sessions that lose their connection and come back: S39 to S42."""

from __future__ import annotations

import pytest

from ...client import SessionState, UTDCallStatus, UTDSession, UTDStreamType
from ...media.events import TrackUnpublished
from ...media.faults import Fault
from .harness import Harness
from .proof import proves
from .stage_hand import StageHand
from .test_session_audio_room import host_and_listener
from .test_session_live_stream import host_and_viewer


async def away_and_back(hand: StageHand, session: UTDSession, states: list[SessionState]) -> None:
    """Wait until a session has reconnected."""
    await hand.becomes(
        session.state,
        lambda state: state is SessionState.CONNECTED and SessionState.RECONNECTING in states,
        f"{session.identity} away and back",
    )


def states_of(session: UTDSession) -> list[SessionState]:
    """The states of a session from now on."""
    states: list[SessionState] = []
    session.state.subscribe(states.append)
    return states


@proves("S39")
@pytest.mark.parity("U23", "B3")
async def test_a_speaker_keeps_the_seat_while_the_signal_is_away(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears, states = hand.witness(ann, "bob"), states_of(bob)
        seat = await harness.within(bob.take_seat(2))
        await ears.hears()
        interruptions = hand.hear_of(ann, TrackUnpublished)
        await hand.inject(Fault.SIGNAL_DROP, hand.room, "bob", seconds=4 * harness.quiet)
        await hand.becomes(bob.state, lambda state: state is SessionState.RECONNECTING, "the signal away")
        await ears.hears()
        await away_and_back(hand, bob, states)
        await ears.hears()
        for session in (ann, bob):
            assert session.seats.value.seat_of("bob") == seat
        assert states == [SessionState.RECONNECTING, SessionState.CONNECTED]
        assert interruptions == []


@proves("S40")
@pytest.mark.parity("U23")
async def test_a_speaker_comes_back_to_the_seat_by_itself(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears, states = hand.witness(ann, "bob"), states_of(bob)
        seat = await harness.within(bob.take_seat(2))
        await ears.hears()
        await hand.inject(Fault.SERVER_LEAVE, hand.room, "bob")
        await away_and_back(hand, bob, states)
        await ears.hears()
        for session in (ann, bob):
            assert session.seats.value.seat_of("bob") == seat


@proves("S41")
@pytest.mark.parity("U12", "U23")
async def test_a_call_goes_on_when_a_side_is_back(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(UTDStreamType.AUDIO_CALL, "ann", "bob")
        await line.talk()
        await line.hear_each_other()
        call, states = line.callee.call.value, states_of(line.callee)
        assert call is not None
        await hand.inject(Fault.SERVER_LEAVE, call.room_name, "bob")
        await away_and_back(hand, line.callee, states)
        await line.hear_each_other()
        for session in (line.caller, line.callee):
            assert session.status.value is UTDCallStatus.ACTIVE


@proves("S42")
@pytest.mark.parity("U23")
async def test_a_rebuilt_connection_of_a_host_is_seen_and_heard_again(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_viewer(hand)
        witness, states = hand.witness(bob, "ann"), states_of(ann)
        await harness.within(ann.go_live())
        await witness.sees()
        await hand.inject(Fault.FULL_RECONNECT, hand.room, "ann", seconds=2 * harness.quiet)
        await away_and_back(hand, ann, states)
        await witness.hears()
        await witness.sees()
