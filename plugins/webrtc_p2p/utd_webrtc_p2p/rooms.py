"""Who is in which room: the control half's own record, and what each participant is told.

Every method is plain and synchronous, so each change is atomic on the event loop, and whoever is told hears of the
changes in their order. A participant who is away (its line broke) is told nothing; the welcome of its return says how
everything is by then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from utd_core.media.events import DisconnectReason, NotificationKind, ParticipantInfo, TrackInfo
from utd_core.media.notices import Notifier
from utd_core.media.profiles import Profile
from utd_core.model.permission import Grant, TrackSource

from .capabilities import MAX_PARTICIPANTS
from .protocol import (
    Ended,
    GrantBody,
    Granted,
    IceServerBody,
    Joined,
    Left,
    Message,
    Muted,
    Pairing,
    PersonBody,
    ProfileBody,
    Published,
    TrackBody,
    Unpublished,
    Updated,
    Welcome,
    in_version,
)


@dataclass(eq=False, slots=True)
class Stay:
    """One participant from its coming to its leaving, over as many lines as that takes.

    `version` is of the protocol that it speaks. `tell` is None while it is away. `heard_at` (monotonic): its last
    word, or when its line broke. `grant_delay` (seconds) and `grant_failures` (times) belong to the faults of the same
    name.
    """

    id: str
    identity: str
    profile: Profile
    grant: Grant
    joined_at: float
    version: int
    tell: Callable[[Message], None] | None
    heard_at: float
    tracks: dict[TrackSource, TrackInfo] = field(default_factory=dict)
    grant_delay: float = 0.0
    grant_failures: int = 0

    def info(self) -> ParticipantInfo:
        profile, tracks = self.profile, tuple(self.tracks.values())
        return ParticipantInfo(
            self.identity,
            profile.name,
            self.grant,
            tracks,
            self.joined_at,
            metadata=profile.metadata,
            attributes=profile.attributes,
        )

    def say(self, message: Message) -> None:
        """Tell it, if it is there, in words that it knows."""
        if self.tell is not None and (known := in_version(message, self.version)) is not None:
            self.tell(known)

    def track(self, track_id: str) -> TrackInfo | None:
        """Its track of that id."""
        return next((track for track in self.tracks.values() if track.id == track_id), None)


class Room:
    """`ice_servers(identity)`: what a participant gets for a new pairing."""

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        ice_servers: Callable[[str], tuple[IceServerBody, ...]],
        *,
        relay_only: bool = False,
    ) -> None:
        self.name = name
        self.stays: dict[str, Stay] = {}
        self.limit = MAX_PARTICIPANTS
        self.generation = 0
        self.paired_at = 0.0
        """When the last generation began (monotonic)."""
        self.silences: dict[str, int] = {}
        """How many connects of an identity get no answer, by the fault of that name."""
        self._notifier = notifier
        self._ice_servers = ice_servers
        self._relay_only = relay_only

    def other(self, stay: Stay) -> Stay | None:
        """Who else is there."""
        return next((other for other in self.stays.values() if other is not stay), None)

    def holds(self, stay: Stay) -> bool:
        """The stay goes on."""
        return self.stays.get(stay.identity) is stay

    def is_full_for(self, identity: str) -> bool:
        """No place is left; who replaces a connection of the same identity needs none."""
        return identity not in self.stays and len(self.stays) >= self.limit

    def enter(self, stay: Stay, now: float) -> None:
        """Let somebody in, in the place of an older stay of the identity. `now`: monotonic."""
        if (older := self.stays.get(stay.identity)) is not None:
            self.end(older, DisconnectReason.DUPLICATE_IDENTITY)
        self.stays[stay.identity] = stay
        self.welcome(stay)
        if (other := self.other(stay)) is not None:
            other.say(Joined(participant=PersonBody.of(stay.info())))
        self._notifier.notify(NotificationKind.PARTICIPANT_JOINED, self.name, stay.identity, grant=stay.grant)
        self.pair(now)

    def welcome(self, stay: Stay) -> None:
        """Say how everything is."""
        other = self.other(stay)
        stay.say(
            Welcome(
                stay=stay.id,
                room=self.name,
                identity=stay.identity,
                profile=ProfileBody.of(stay.profile),
                grant=GrantBody.of(stay.grant),
                participants=() if other is None else (PersonBody.of(other.info()),),
                tracks=tuple(TrackBody.of(track) for track in stay.tracks.values()),
            )
        )

    def pair(self, now: float) -> None:
        """Begin a new generation, if there are two; the one who came last offers, so that never both do."""
        if len(self.stays) < MAX_PARTICIPANTS:
            return
        self.paired_at = now
        self.generation += 1
        first, last = self.stays.values()
        for stay, other in ((last, first), (first, last)):
            stay.say(
                Pairing(
                    generation=self.generation,
                    role="offerer" if stay is last else "answerer",
                    identity=other.identity,
                    ice_servers=self._ice_servers(stay.identity),
                    relay_only=self._relay_only,
                )
            )

    def leave(self, stay: Stay, reason: DisconnectReason) -> None:
        """The participant is gone, and knows it. Idempotent."""
        if not self.holds(stay):
            return
        for track in list(stay.tracks.values()):
            self.unpublish(stay, track)
        del self.stays[stay.identity]
        for other in self.stays.values():
            other.say(Left(identity=stay.identity, reason=reason))
        self._notifier.notify(NotificationKind.PARTICIPANT_LEFT, self.name, stay.identity, reason=reason)

    def end(self, stay: Stay, reason: DisconnectReason) -> None:
        """End a stay from this side; the participant is told."""
        self.leave(stay, reason)
        stay.say(Ended(reason=reason))
        stay.tell = None

    def close(self) -> None:
        """Everybody goes at once, and nobody is left to hear of the others' leaving."""
        there = [(stay, stay.tell) for stay in self.stays.values()]
        for stay, _ in there:
            stay.tell = None
        for stay, tell in there:
            self.leave(stay, DisconnectReason.ROOM_CLOSED)
            if tell is not None:
                tell(Ended(reason=DisconnectReason.ROOM_CLOSED))
        self._notifier.notify(NotificationKind.ROOM_CLOSED, self.name, reason=DisconnectReason.ROOM_CLOSED)

    def apply_grant(self, stay: Stay, grant: Grant) -> None:
        """Replace the whole grant; what it no longer holds ends now."""
        if stay.grant == grant or not self.holds(stay):
            return
        stay.grant = grant
        for one in self.stays.values():
            one.say(Granted(identity=stay.identity, grant=GrantBody.of(grant)))
        for track in list(stay.tracks.values()):
            if track.source not in grant.publish:
                self.unpublish(stay, track)
                stay.say(Unpublished(identity=stay.identity, track=track.id))

    def describe(self, stay: Stay, profile: Profile) -> None:
        """Describe somebody in other words."""
        if stay.profile == profile or not self.holds(stay):
            return
        stay.profile = profile
        for one in self.stays.values():
            one.say(Updated(identity=stay.identity, profile=ProfileBody.of(profile)))

    def publish(self, stay: Stay, track: TrackInfo) -> None:
        """A granted track begins, in the place of an older one of its source; told again, it stays as it is."""
        if (older := stay.tracks.get(track.source)) is not None:
            if older.id == track.id:
                return
            self.unpublish(stay, older)
        stay.tracks[track.source] = track
        self._tell_other(stay, Published(identity=stay.identity, track=TrackBody.of(track)))
        self._notifier.notify(NotificationKind.TRACK_PUBLISHED, self.name, stay.identity, track)

    def unpublish(self, stay: Stay, track: TrackInfo) -> None:
        """A track ends."""
        del stay.tracks[track.source]
        self._tell_other(stay, Unpublished(identity=stay.identity, track=track.id))
        self._notifier.notify(NotificationKind.TRACK_UNPUBLISHED, self.name, stay.identity, track)

    def mute(self, stay: Stay, track: TrackInfo, muted: bool, *, by_server: bool) -> None:
        """Mute or unmute; the last word counts, whoever says it. The publisher hears what the server did."""
        if track.muted == muted:
            return
        stay.tracks[track.source] = replace(track, muted=muted)
        told = Muted(identity=stay.identity, track=track.id, muted=muted, by_server=by_server and muted)
        self._tell_other(stay, told)
        if by_server:
            stay.say(told)

    def _tell_other(self, stay: Stay, message: Message) -> None:
        if (other := self.other(stay)) is not None:
            other.say(message)
