"""How a track is named on the wire, so that its id outlives LiveKit's own.

LiveKit gives a track a new SID whenever its publisher connects anew, and keeps its name. So the name carries an id that
the publisher chose: `voice#utd-0123456789abcdef`. The first half of the id follows from the publisher's identity:
nobody can take the id of somebody else's track. A track of another SDK has its SID for an id.
"""

from __future__ import annotations

import hashlib
import re
import secrets

_MARK = "#utd-"
_TAGGED = re.compile(rf"(.*){_MARK}([0-9a-f]{{8}})([0-9a-f]{{8}})\Z", re.DOTALL)


def new_track_id(identity: str) -> str:
    """An id for a track of this participant."""
    return _owner(identity) + secrets.token_hex(4)


def wire_name(track_id: str, name: str) -> str:
    """What LiveKit is told as the track's name."""
    return f"{name}{_MARK}{track_id}"


def read_wire_name(wire: str, sid: str, identity: str) -> tuple[str, str]:
    """The (id, name) of a track that `identity` published under this name."""
    tagged = _TAGGED.match(wire)
    if tagged is None or tagged[2] != _owner(identity):
        return sid, wire
    return tagged[2] + tagged[3], tagged[1]


def _owner(identity: str) -> str:
    return hashlib.blake2s(identity.encode(), digest_size=4).hexdigest()
