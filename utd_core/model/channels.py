"""Which event channels a fact is published on.

- What happens in a room is published on the room's channel; what happens in a call, on the call's and both parties'.
- What concerns one person is published on that person's channel too, wherever they are: what is asked of them, the end
  of what they asked or were asked, their removal, roles and bans.
- The application's server has no channel of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..errors import InvalidInput
from .bans import BanLifted, BanMade, BansChanged
from .call import Call
from .event import Event
from .identifiers import MAX_ENTITY_ID, SERVER, check_identity, check_room_name, check_text
from .request import RequestEnded, RequestMade
from .room import ParticipantRemoved, RoleChanged, Room


def room_channel(room: str) -> str:
    """Everything about a room's state."""
    return f"private-room.{room}"


def call_channel(call_id: str) -> str:
    """The states of one call."""
    return f"private-call.{call_id}"


def user_channel(identity: str) -> str:
    """What concerns one person wherever they are: calls, requests of theirs and to them, removal, roles, bans."""
    return f"private-user.{identity}"


def check_channel(channel: str) -> None:
    """Raise `InvalidInput` where there can be no such channel, whatever rooms, calls and people there are."""
    for begin, check in _KINDS.items():
        if channel.startswith(begin):
            check(channel.removeprefix(begin))
            return
    raise InvalidInput(f"there is no channel {channel!r:.200}; the engine's begin with {', '.join(_KINDS)}")


def room_event_channels(room: Room, event: Event) -> tuple[str, ...]:
    """The room's channel, and the person's where somebody is addressed who may not be looking at the room."""
    channel = room_channel(room.name)
    concerned: tuple[str | None, ...] = ()
    if isinstance(event, RequestMade):
        concerned = (event.request.to,)
    elif isinstance(event, RequestEnded):
        concerned = (event.sender, event.to)
    elif isinstance(event, ParticipantRemoved | RoleChanged | BanLifted):
        concerned = (event.identity,)
    elif isinstance(event, BanMade):
        concerned = (event.ban.identity,)
    return (channel, *(user_channel(who) for who in concerned if who is not None and who != SERVER))


def call_event_channels(call: Call, event: Event) -> tuple[str, ...]:
    """The call's channel and both parties', so that each device of each party follows it."""
    return (call_channel(call.id), user_channel(call.caller), user_channel(call.callee))


def heard_by_all(event: Event) -> Event:
    """What the channel of a room or call carries of an event of it; `Room.bans` is not mirrored by anybody."""
    return _BANS_CHANGED if type(event) in _OF_BANS else event


_OF_BANS = frozenset({BanMade, BanLifted})
_BANS_CHANGED = BansChanged()


def _check_call_id(value: str) -> None:
    if not 1 <= len(check_text(value)) <= MAX_ENTITY_ID:
        raise InvalidInput(f"the id of a call has 1 to {MAX_ENTITY_ID} characters, got {len(value)}")


_KINDS: Mapping[str, Callable[[str], object]] = {
    room_channel(""): check_room_name,
    call_channel(""): _check_call_id,
    user_channel(""): check_identity,
}
