"""A client's session with a room, as its table says it. What drives it stands in the client's own tests."""

from __future__ import annotations

import pytest

from utd_core.errors import Conflict, ErrorCode
from utd_core.model.session import SESSION, SessionState, SessionTrigger

from ..rulebook import rule


def after(*triggers: SessionTrigger) -> SessionState:
    state = SESSION.initial
    for trigger in triggers:
        state = SESSION.next(state, trigger)
    return state


_T = SessionTrigger
CONNECTED = (_T.CONNECT, _T.SUCCEED)


@rule("idle, connecting, connected, reconnecting, disconnected, closed.")
def test_the_way_of_a_session() -> None:
    assert [after(*way) for way in ((), CONNECTED[:1], CONNECTED, (*CONNECTED, _T.LOSE))] == [
        SessionState.IDLE,
        SessionState.CONNECTING,
        SessionState.CONNECTED,
        SessionState.RECONNECTING,
    ]
    assert after(*CONNECTED, _T.LEAVE) is SessionState.DISCONNECTED
    assert after(*CONNECTED, _T.CLOSE) is SessionState.CLOSED
    assert len(SessionState) == 6


@rule("*disconnected* is where a leave, a removal or a given-up reconnect ends; the session may connect again.")
@pytest.mark.parametrize(
    "way",
    [
        (*CONNECTED, _T.LEAVE),
        (*CONNECTED, _T.GIVE_UP),
        (*CONNECTED, _T.LOSE, _T.GIVE_UP),
        (*CONNECTED, _T.LOSE, _T.LEAVE),
        (_T.CONNECT, _T.FAIL),
        (_T.CONNECT, _T.LEAVE),
    ],
)
def test_every_way_out_is_disconnected_and_leads_in_again(way: tuple[SessionTrigger, ...]) -> None:
    assert after(*way) is SessionState.DISCONNECTED
    assert after(*way, *CONNECTED) is SessionState.CONNECTED
    with pytest.raises(Conflict) as refusal:
        after(*way, _T.LEAVE)
    assert refusal.value.code == ErrorCode.NOT_JOINED


@rule("*closed* is the end of the object.")
@pytest.mark.parametrize("trigger", SessionTrigger)
def test_nothing_happens_to_a_closed_session(trigger: SessionTrigger) -> None:
    assert not SESSION.allows(SessionState.CLOSED, trigger)
    assert SESSION.refusal(SessionState.CLOSED, trigger).code == ErrorCode.CLOSED
    assert all(SESSION.allows(state, _T.CLOSE) for state in SessionState if state is not SessionState.CLOSED)


@rule("A connection that the client may still get back is *reconnecting*, whatever the media library calls it.")
def test_a_lost_connection_is_reconnecting_until_it_is_back_or_given_up() -> None:
    assert after(*CONNECTED, _T.LOSE, _T.RECOVER) is SessionState.CONNECTED
    assert after(*CONNECTED, _T.LOSE, _T.RECOVER, _T.LOSE, _T.GIVE_UP) is SessionState.DISCONNECTED
    with pytest.raises(Conflict) as refusal:
        after(*CONNECTED, _T.LOSE, _T.CONNECT)
    assert refusal.value.code == ErrorCode.ALREADY_JOINED
