"""What a room shows of its connection."""

from __future__ import annotations

from collections.abc import Mapping

from ...concurrency import Clock, TaskScope
from ...media.events import ConnectionState, GrantChanged, MediaEvent, Speaker, StateChanged
from ...model.permission import Grant, TrackSource
from ..models import RemoteParticipant
from ..state.observable import Variable
from .media_plane import MediaPlane
from .roster import Roster

NO_GRANT = Grant(subscribe=False, publish_data=False)


class RoomState:
    """The observables of one room. Without a connection there is no grant, and nobody else."""

    def __init__(self, scope: TaskScope, clock: Clock) -> None:
        self.connected = Variable(False, scope, clock)
        self.grant = Variable(NO_GRANT, scope, clock)
        self.remote: Variable[tuple[RemoteParticipant, ...]] = Variable((), scope, clock)
        self.publishing: Variable[frozenset[TrackSource]] = Variable(frozenset(), scope, clock)
        self.speakers: Variable[tuple[Speaker, ...]] = Variable((), scope, clock)
        self.dominant_speaker: Variable[str | None] = Variable(None, scope, clock)
        self.roster = Roster()
        self._connection: MediaPlane | None = None

    def attach(self, connection: MediaPlane) -> None:
        """There is a connection."""
        self._connection = connection
        self.grant.set(connection.grant)
        self.refresh_roster()
        self.connected.set(connection.state is ConnectionState.CONNECTED)

    def take(self, event: MediaEvent) -> None:
        """Take over an event of the connection; those about others show with `refresh_roster`."""
        match event:
            case StateChanged(state):
                self.connected.set(state is ConnectionState.CONNECTED)
            case GrantChanged() if self._connection is not None:
                self.grant.set(self._connection.grant)
            case _:
                if self.roster.take(event):
                    self._show_speakers()

    @property
    def people(self) -> Mapping[str, RemoteParticipant]:
        """The others at this moment, by identity."""
        if self._connection is not None:
            self.roster.refresh(self._connection.participants)
        return self.roster.people

    def refresh_roster(self) -> None:
        """Show who is there; once after many events, so that a thousand joins are one new roster."""
        if self._connection is not None:
            self.remote.set(self.roster.refresh(self._connection.participants))

    def detach(self) -> None:
        """There is none."""
        self._connection = None
        self.connected.set(False)
        self.grant.set(NO_GRANT)
        self.roster.clear()
        self._show_speakers()
        self.remote.set(())

    def close(self) -> None:
        """Nothing changes any more."""
        self.detach()
        self.connected.close()
        self.grant.close()
        self.remote.close()
        self.publishing.close()
        self.speakers.close()
        self.dominant_speaker.close()

    def _show_speakers(self) -> None:
        self.speakers.set(self.roster.speakers)
        self.dominant_speaker.set(self.roster.dominant)
