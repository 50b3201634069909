"""A client's session with one room: what the application sees of the connection.

- idle, connecting, connected, reconnecting, disconnected, closed. *disconnected* is where a leave, a removal or a
  given-up reconnect ends; the session may connect again. *closed* is the end of the object.
- A connection that the client may still get back is *reconnecting*, whatever the media library calls it.
"""

from __future__ import annotations

from enum import StrEnum

from ..errors import ErrorCode
from .machine import Machine


class SessionState(StrEnum):
    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    DISCONNECTED = "disconnected"
    CLOSED = "closed"


class SessionTrigger(StrEnum):
    CONNECT = "connect"
    SUCCEED = "succeed"
    FAIL = "fail"
    LOSE = "lose"
    RECOVER = "recover"
    GIVE_UP = "give_up"
    LEAVE = "leave"
    CLOSE = "close"


_S, _T = SessionState, SessionTrigger

SESSION = Machine(
    name="session",
    states=SessionState,
    triggers=SessionTrigger,
    initial=_S.IDLE,
    table={
        (_S.IDLE, _T.CONNECT): _S.CONNECTING,
        (_S.IDLE, _T.CLOSE): _S.CLOSED,
        (_S.CONNECTING, _T.SUCCEED): _S.CONNECTED,
        (_S.CONNECTING, _T.FAIL): _S.DISCONNECTED,
        (_S.CONNECTING, _T.LEAVE): _S.DISCONNECTED,
        (_S.CONNECTING, _T.CLOSE): _S.CLOSED,
        (_S.CONNECTED, _T.LOSE): _S.RECONNECTING,
        (_S.CONNECTED, _T.GIVE_UP): _S.DISCONNECTED,
        (_S.CONNECTED, _T.LEAVE): _S.DISCONNECTED,
        (_S.CONNECTED, _T.CLOSE): _S.CLOSED,
        (_S.RECONNECTING, _T.RECOVER): _S.CONNECTED,
        (_S.RECONNECTING, _T.GIVE_UP): _S.DISCONNECTED,
        (_S.RECONNECTING, _T.LEAVE): _S.DISCONNECTED,
        (_S.RECONNECTING, _T.CLOSE): _S.CLOSED,
        (_S.DISCONNECTED, _T.CONNECT): _S.CONNECTING,
        (_S.DISCONNECTED, _T.CLOSE): _S.CLOSED,
    },
    refusals={
        (_S.CLOSED, None): (ErrorCode.CLOSED, "make a new session"),
        (_S.CONNECTING, _T.CONNECT): (ErrorCode.ALREADY_JOINED, "wait for the connect that is under way"),
        (_S.CONNECTED, _T.CONNECT): (ErrorCode.ALREADY_JOINED, "leave first"),
        (_S.RECONNECTING, _T.CONNECT): (ErrorCode.ALREADY_JOINED, "it reconnects by itself; or leave first"),
        (_S.IDLE, None): (ErrorCode.NOT_JOINED, "join first"),
        (_S.DISCONNECTED, None): (ErrorCode.NOT_JOINED, "join first"),
    },
)
