"""Seats, stage or call as one participant's session shows them, in words for the view."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ...client import UTDAudioRoomSession, UTDCallSession, UTDLiveStreamSession, UTDSession
from ...model.permission import TrackSource
from ...model.seats import SeatState


class Mood(StrEnum):
    """How a place looks."""

    EMPTY = "empty"
    QUIET = "quiet"
    OPEN = "open"
    """The microphone is open."""
    SPEAKING = "speaking"


@dataclass(frozen=True, slots=True)
class Place:
    """A seat, a place on stage, a side of a call. `identity` is empty for a seat that nobody has."""

    title: str
    identity: str
    state: str
    mood: Mood


@dataclass(frozen=True, slots=True)
class Scenery:
    """`places` from left to right; `between` stands between the two sides of a call; `caption` below."""

    places: tuple[Place, ...] = ()
    between: str = ""
    caption: str = ""


def scenery_of(session: UTDSession | None, speaking: Iterable[str]) -> Scenery:
    """What a session shows now. `speaking`: who can be heard at this moment."""
    heard = frozenset(speaking)
    match session:
        case UTDAudioRoomSession():
            return _audio_room(session, heard)
        case UTDLiveStreamSession():
            return _live_stream(session, heard)
        case UTDCallSession():
            return _call(session, heard)
        case _:
            return Scenery()


def _audio_room(room: UTDAudioRoomSession, heard: frozenset[str]) -> Scenery:
    published = _published(room)
    places = []
    for seat in room.seats.value.seats:
        title = f"seat {seat.index + 1}"
        if seat.identity is None:
            places.append(Place(title, "", "locked" if seat.state is SeatState.LOCKED else "free", Mood.EMPTY))
        else:
            places.append(_taken(title, seat.identity, published, heard))
    asking = ", ".join(request.sender for request in room.requests.value)
    listening = ", ".join(name for name in sorted(published) if name not in room.seats.value.occupants())
    return Scenery(tuple(places), caption=f"{asking} asks to speak" if asking else f"listening: {listening}")


def _live_stream(stream: UTDLiveStreamSession, heard: frozenset[str]) -> Scenery:
    published, stage = _published(stream), stream.stage.value
    places = tuple(
        _taken("host" if member.role.is_host else "co-publisher", member.identity, published, heard) for member in stage
    )
    on_stage = {member.identity for member in stage}
    watching = ", ".join(name for name in sorted(published) if name not in on_stage)
    invited = ", ".join(request.subject for request in stream.requests.value)
    return Scenery(places, caption=f"{invited} is invited on stage" if invited else f"watching: {watching}")


def _call(session: UTDCallSession, heard: frozenset[str]) -> Scenery:
    call, status, published = session.call.value, session.status.value, _published(session)
    if call is None or status is None:
        return Scenery()
    return Scenery(
        (
            _taken("caller", call.caller_identity, published, heard),
            _taken("callee", call.callee_identity, published, heard),
        ),
        between=status.value,
        caption=call.type.value.replace("_", " "),
    )


def _taken(title: str, identity: str, published: dict[str, frozenset[TrackSource]], heard: frozenset[str]) -> Place:
    sources = published.get(identity, frozenset())
    camera = ", camera" if TrackSource.CAMERA in sources else ""
    if TrackSource.MICROPHONE not in sources:
        return Place(title, identity, f"mic off{camera}", Mood.QUIET)
    if identity in heard:
        return Place(title, identity, f"speaking{camera}", Mood.SPEAKING)
    return Place(title, identity, f"mic on{camera}", Mood.OPEN)


def _published(session: UTDSession) -> dict[str, frozenset[TrackSource]]:
    """What everybody on the media plane publishes and has not muted, this participant included."""
    local = session.local_participant
    everybody = session.remote_participants.value if local is None else (local, *session.remote_participants.value)
    return {
        participant.identity: frozenset(track.source for track in participant.tracks if not track.muted)
        for participant in everybody
    }
