"""What a participant may do on the media plane: a pure function of the room or the call (law 2).

- A seat, a stage place or a call side *is* the permission to publish. Nothing stores a permission.
- Whoever is let in hears and sees. Whoever is not (backstage, after the end, in a call of others) may do nothing.
- The caller publishes from the start, so that the first word is heard; the callee once it has accepted.
- Sending data needs no place, only the capability.

The engine makes the media backend match what these functions say.
"""

from __future__ import annotations

from functools import cache

from .call import Call, CallAccepted, CallEnded, CallStarted, UTDCallStatus
from .event import Event
from .permission import AUDIO_SOURCES, VIDEO_SOURCES, Grant, TrackSource
from .roles import Capability, capabilities_of
from .room import CapabilityOverridden, Phase, Room, RoomCreated, RoomEnded, StoppedLive, WentLive
from .seats import SeatsSwapped

STAGE_SOURCES = frozenset(TrackSource)
SEAT_SOURCES = frozenset({TrackSource.MICROPHONE})
VIDEO_SEAT_SOURCES = frozenset({TrackSource.MICROPHONE, TrackSource.CAMERA})
AUDIO_CALL_SOURCES = frozenset({TrackSource.MICROPHONE})
NOTHING = Grant(subscribe=False, publish=frozenset(), publish_data=False)


def grant_of(room: Room, identity: str) -> Grant:
    """What `identity` may do in `room` now; who is not even let in has `NOTHING`."""
    if room.phase is Phase.ENDED:
        return NOTHING
    role = room.role(identity)
    allowed = capabilities_of(role, room.overrides)
    if room.phase is Phase.BACKSTAGE and Capability.JOIN_BACKSTAGE not in allowed:
        return NOTHING
    return _grant(_sources(room, identity), Capability.SEND_DATA in allowed)


def grants(room: Room) -> dict[str, Grant]:
    """The grants of everybody who is more than audience; all others hold `grant_of` an unknown identity."""
    if room.phase is Phase.ENDED:
        return {}
    people = set(room.roles) | set(room.stage) | set(room.grid.occupants())
    return {identity: grant_of(room, identity) for identity in people}


def call_grant_of(call: Call, identity: str) -> Grant:
    """The caller publishes from the start, so that the first word is heard; the callee once it has accepted."""
    if call.status.is_terminal or not call.is_party(identity):
        return NOTHING
    if identity == call.callee and call.status is not UTDCallStatus.ACTIVE:
        return NOTHING
    return _grant(STAGE_SOURCES if call.type.has_video else AUDIO_CALL_SOURCES, True)


@cache
def _grant(sources: frozenset[TrackSource], data: bool) -> Grant:
    return Grant(subscribe=True, publish=sources, publish_data=data)


def _sources(room: Room, identity: str) -> frozenset[TrackSource]:
    if room.has_stage:
        member = room.stage.get(identity)
        return frozenset() if member is None else _unmuted(STAGE_SOURCES, member.muted_audio, member.muted_video)
    seat = room.grid.seat_of(identity)
    if seat is None:
        return frozenset()
    sources = VIDEO_SEAT_SOURCES if room.settings.seat_video else SEAT_SOURCES
    return _unmuted(sources, seat.muted_audio or seat.audio_locked, seat.muted_video or seat.video_locked)


@cache
def _unmuted(sources: frozenset[TrackSource], no_audio: bool, no_video: bool) -> frozenset[TrackSource]:
    if no_audio:
        sources -= AUDIO_SOURCES
    if no_video:
        sources -= VIDEO_SOURCES
    return sources


def why_refused(room: Room, identity: str, source: TrackSource) -> str:
    """Why `grant_of` does not hold `source`, and what to do about it: words for the error that refuses it."""
    if room.phase is Phase.ENDED:
        return "the room has ended"
    if grant_of(room, identity) == NOTHING:
        return "the room is not live yet; wait for `go_live`"
    if room.has_stage:
        member = room.stage.get(identity)
        if member is None:
            return "come on stage first, or ask for it"
        return _why_muted(source)
    seat = room.grid.seat_of(identity)
    if seat is None:
        return "take a seat first, or ask for one"
    if source not in VIDEO_SEAT_SOURCES:
        return "a seat has no screen to share; make a live stream for that"
    if source in VIDEO_SOURCES and not room.settings.seat_video:
        return "the seats of this room have sound only; `seat_video` is decided when a room is made"
    if seat.audio_locked if source in AUDIO_SOURCES else seat.video_locked:
        return f"seat {seat.index} is locked for it; move to another one, or have it unlocked"
    return _why_muted(source)


def why_refused_in_call(call: Call, identity: str) -> str:
    """The same for a call: why `call_grant_of` holds less than that."""
    if call.status.is_terminal:
        return f"the call is {call.status.value}"
    if not call.is_party(identity):
        return "only the two parties of a call are heard and seen in it"
    if identity == call.callee and call.status is not UTDCallStatus.ACTIVE:
        return "answer the call first"
    return "an audio call carries sound only; start a video call"


def _why_muted(source: TrackSource) -> str:
    return f"a moderator took the {source.value}; it can be opened once it is given back"


def affected(event: Event) -> frozenset[str] | None:
    """Identities whose grant may differ after `event`; None when it may be everybody's.

    The reconciler looks only at these, so an event in a room of 100,000 costs what it costs in a room of ten.
    """
    if isinstance(event, EVERYBODY):
        return None
    if isinstance(event, SeatsSwapped):
        return frozenset({event.first_identity, event.second_identity})
    identity = getattr(event, "identity", None)
    return frozenset() if identity is None else frozenset({identity})


EVERYBODY = (
    RoomCreated,
    WentLive,
    StoppedLive,
    RoomEnded,
    CapabilityOverridden,
    CallStarted,
    CallAccepted,
    CallEnded,
)
