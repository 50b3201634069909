"""Who a participant is in its room, and what it knows of the room: applied first, told then."""

from __future__ import annotations

from collections.abc import Iterable

from utd_core.concurrency import BoundedQueue
from utd_core.media.events import DisconnectReason, GrantChanged, MediaEvent, ParticipantInfo, ParticipantUpdated
from utd_core.media.profiles import Profile
from utd_core.model.permission import Grant

from .path import Path
from .protocol import (
    FromControl,
    Granted,
    Joined,
    Left,
    Muted,
    PersonBody,
    Published,
    Unpublished,
    Updated,
    Welcome,
)
from .publishing import Publishing
from .receiving import Receiving
from .roster import Roster


class Membership:
    """Begins with the first welcome; `stay` is None before."""

    def __init__(
        self, events: BoundedQueue[MediaEvent], path: Path, publishing: Publishing, receiving: Receiving
    ) -> None:
        self.stay: str | None = None
        self.room = self.identity = ""
        self.grant = Grant()
        self.profile = Profile()
        self.roster = Roster()
        self._events = events
        self._path = path
        self._publishing = publishing
        self._receiving = receiving

    def info(self) -> ParticipantInfo:
        """This participant itself."""
        profile, tracks = self.profile, tuple(track.info for track in self._publishing.tracks)
        return ParticipantInfo(
            self.identity,
            profile.name,
            self.grant,
            tracks,
            metadata=profile.metadata,
            attributes=profile.attributes,
        )

    def begin(self, welcome: Welcome) -> None:
        """Who is there already is known, and not told."""
        self.stay, self.room, self.identity = welcome.stay, welcome.room, welcome.identity
        self.grant = welcome.grant.grant()
        if welcome.profile is not None:
            self.profile = welcome.profile.profile()
        for body in welcome.participants:
            self.roster.join(body.person())
            self._path.expect()
        self.match_subscriptions()

    def catch_up(self, welcome: Welcome) -> None:
        """What happened while nothing was heard."""
        self._take_grant(welcome.grant.grant())
        if welcome.profile is not None:
            self._take_profile(welcome.profile.profile())
        there = [body.person() for body in welcome.participants]
        for identity in [known for known in self.roster.people if not any(one.identity == known for one in there)]:
            self._part(identity, DisconnectReason.UNKNOWN)
        for person in there:
            if self.roster.is_same(person):
                self._tell(self.roster.match(person))
            else:
                self._part(person.identity, DisconnectReason.UNKNOWN)
                self._meet(PersonBody.of(person))
        self._tell(self._publishing.match(self.identity, {body.id: body for body in welcome.tracks}))
        self.match_subscriptions()

    def hear(self, news: FromControl) -> None:
        """What happens in the room."""
        match news:
            case Joined(participant=body):
                self._meet(body)
            case Left(identity=identity, reason=reason):
                self._part(identity, reason)
            case Updated(identity=identity, profile=body) if identity == self.identity:
                self._take_profile(body.profile())
            case Updated(identity=identity, profile=body):
                self._tell(self.roster.describe(identity, body.profile()))
            case Published(identity=identity, track=track):
                self._tell(self.roster.publish(identity, track.track()))
            case Granted(identity=identity, grant=body) if identity == self.identity:
                self._take_grant(body.grant())
            case Granted(identity=identity, grant=body):
                self.roster.grant(identity, body.grant())
            case Unpublished(identity=identity, track=track_id) if identity == self.identity:
                self._tell(self._publishing.take_away(track_id))
            case Unpublished(identity=identity, track=track_id):
                self._tell(self.roster.unpublish(identity, track_id))
            case Muted(identity=identity) if identity == self.identity:
                self._tell(self._publishing.take_mute(identity, news))
            case Muted(identity=identity, track=track_id):
                self._tell(self.roster.mute(identity, track_id, news.muted, news.by_server))
        self.match_subscriptions()

    def match_subscriptions(self) -> None:
        """Receive what is there, allowed and wanted."""
        self._tell(self._receiving.match(self.roster.other, self.grant))

    def _meet(self, body: PersonBody) -> None:
        self._path.expect()
        self._tell([self.roster.join(body.person())])

    def _part(self, identity: str, reason: DisconnectReason) -> None:
        if identity in self.roster.people:
            # Its tracks end first, so that their readers have ended when its leaving is told.
            self._tell(self._receiving.end_all(identity))
            self._path.forget()
            self._tell(self.roster.leave(identity, reason))

    def _take_grant(self, grant: Grant) -> None:
        if grant != self.grant:
            self.grant = grant
            self._events.put(GrantChanged(grant))

    def _take_profile(self, profile: Profile) -> None:
        if profile != self.profile:
            self.profile = profile
            self._events.put(ParticipantUpdated(self.info()))

    def _tell(self, events: Iterable[MediaEvent]) -> None:
        for event in events:
            self._events.put(event)
