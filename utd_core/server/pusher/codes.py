"""Close codes, and the codes of `pusher:error`.

The range says what a client does next: 4000 to 4099 do not come back, 4100 to 4199 come back after a second or more,
4200 to 4299 come back at once. A code from 4300 on is only ever in a `pusher:error`: the connection stays.
"""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """`docs/reference/websocket.md` has these sentences as a table."""

    NOT_TEXT = 1003
    """A binary message; the protocol is JSON text."""
    INTERNAL = 1011
    """A fault of the server, which it has logged."""
    NO_SUCH_APP = 4001
    """No project has this key."""
    SUSPENDED = 4003
    """The project is suspended."""
    OVER_QUOTA = 4004
    """The project has as many connections as its plan holds."""
    PATH_NOT_FOUND = 4005
    """Sockets are at `/app/{key}`."""
    INVALID_VERSION = 4006
    """`protocol` is not a number."""
    UNSUPPORTED_VERSION = 4007
    """`protocol` is none of 5, 6 and 7."""
    NO_VERSION = 4008
    """`protocol` is missing."""
    UNAUTHORIZED = 4009
    """Signing in failed, the server ended this user's connections, or the page's origin is not allowed."""
    OVER_CAPACITY = 4100
    """Too many connections from this address, or the server cannot look the project up at the moment."""
    TOO_SLOW = 4101
    """The client did not read fast enough, and what waited for it is over its bounds. Events may be recovered."""
    TOO_FAST = 4102
    """The client sent more messages than it may."""
    RECONNECT = 4200
    """The server restarts, events of a channel were lost on their way, or the user's token expired."""
    NO_PONG = 4201
    """A `pusher:ping` was not answered in time."""
    CLIENT_EVENT_RATE = 4301
    """In a `pusher:error`: this client event was one too many, and was not sent on."""
