"""The server's own record of rooms and of who is connected; the truth that control and clients ask."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field

from utd_core.media.backend import ConnectOptions
from utd_core.media.events import ConnectionQuality, ParticipantInfo, SpeakersChanged, TrackInfo
from utd_core.media.profiles import Profile
from utd_core.media.quality import VideoQuality
from utd_core.media.tokens import Claims
from utd_core.model.permission import Grant, TrackSource

from .agenda import Agenda
from .ears import Ears
from .link import Link
from .messages import Message
from .snapshots import ParticipantSnapshot, RoomSnapshot
from .tracks import PublishedTrack, Subscription


@dataclass(eq=False, slots=True)
class Participant:
    """One connected participant. A connection's `native` is this object.

    `wishes` and `qualities`: what the client asked by `set_subscribed` and `set_quality`, by track id. `quality`: as it
    was told last. `grant_delay` (seconds) and `grant_failures` (times) belong to the faults of the same name.
    """

    room: Room
    claims: InitVar[Claims]
    options: ConnectOptions
    joined_at: float
    identity: str = field(init=False)
    profile: Profile = field(init=False)
    grant: Grant = field(init=False)
    link: Link = field(init=False)
    tracks: dict[TrackSource, PublishedTrack] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    wishes: dict[str, bool] = field(default_factory=dict)
    qualities: dict[str, VideoQuality] = field(default_factory=dict)
    quality: ConnectionQuality | None = None
    grant_delay: float = 0.0
    grant_failures: int = 0
    connected: bool = True

    def __post_init__(self, claims: Claims) -> None:
        self.identity = claims.identity
        self.profile = claims.profile
        self.grant = claims.grant

    def info(self) -> ParticipantInfo:
        return ParticipantInfo(
            self.identity,
            self.profile.name,
            self.grant,
            self.visible_tracks(),
            self.joined_at,
            metadata=self.profile.metadata,
            attributes=self.profile.attributes,
        )

    def visible_tracks(self) -> tuple[TrackInfo, ...]:
        return tuple(track.info for track in self.tracks.values() if not track.is_away)

    def can_read(self, other: Participant) -> bool:
        """Whether it has the key of what the other one sends."""
        key = other.options.e2ee
        return key is None or key == self.options.e2ee

    def wants(self, track: PublishedTrack) -> bool:
        """The track is to be delivered to this participant, by its grant and its own choice."""
        return self.grant.subscribe and self.wishes.get(track.info.id, self.options.auto_subscribe)

    def forget(self, track: PublishedTrack) -> None:
        """The track has ended, and with it what was asked of it."""
        self.wishes.pop(track.info.id, None)
        self.qualities.pop(track.info.id, None)

    def reroute(self) -> None:
        """This participant's link changed: choose the way of each frame anew."""
        for track in self.tracks.values():
            track.refresh()
        for subscription in self.subscriptions.values():
            subscription.track.reroute()

    def snapshot(self) -> ParticipantSnapshot:
        return ParticipantSnapshot(
            self.identity,
            self.profile.name,
            self.grant,
            self.joined_at,
            not self.link.is_down,
            tuple(track.snapshot() for track in self.tracks.values()),
            {track_id: subscription.snapshot() for track_id, subscription in self.subscriptions.items()},
        )


@dataclass(eq=False, slots=True)
class Room:
    """`tracks`: those that can be subscribed to now, by id. `silences`: how many connects of an identity the server
    will leave unanswered."""

    name: str
    agenda: InitVar[Agenda]
    max_participants: int | None = None
    participants: dict[str, Participant] = field(default_factory=dict)
    tracks: dict[str, PublishedTrack] = field(default_factory=dict)
    silences: dict[str, int] = field(default_factory=dict)
    ears: Ears = field(init=False)

    def __post_init__(self, agenda: Agenda) -> None:
        self.ears = Ears(agenda, lambda speakers: self.tell(SpeakersChanged(speakers)))

    def tell(self, message: Message) -> None:
        """Say something to everybody."""
        for participant in list(self.participants.values()):
            participant.link.signal(message)

    def tell_others(self, participant: Participant, message: Message) -> None:
        """Say something to everybody but one."""
        for other in self.others(participant):
            other.link.signal(message)

    def others(self, participant: Participant) -> list[Participant]:
        return [other for other in self.participants.values() if other is not participant]

    def is_full_for(self, identity: str) -> bool:
        """No place is left; who replaces a connection of the same identity needs none."""
        return (
            self.max_participants is not None
            and identity not in self.participants
            and len(self.participants) >= self.max_participants
        )

    def snapshot(self) -> RoomSnapshot:
        participants = {identity: participant.snapshot() for identity, participant in self.participants.items()}
        return RoomSnapshot(self.name, self.max_participants, participants)
