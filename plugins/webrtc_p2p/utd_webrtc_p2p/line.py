"""One participant's line: what is said on it, and what the switchboard makes of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from utd_core.errors import ConnectFailed, ErrorCode, InvalidInput, UTDStreamException
from utd_core.media.events import DisconnectReason
from utd_core.media.tokens import refusal

from .protocol import (
    VERSION,
    Bye,
    Candidate,
    Denied,
    Description,
    Done,
    Ended,
    Hello,
    Message,
    Mute,
    Ping,
    Pong,
    Publish,
    Rebuild,
    Refused,
    Unpublish,
    read_from_participant,
)
from .rooms import Room, Stay

if TYPE_CHECKING:
    from .switchboard import Switchboard

REBUILD_INTERVAL = 0.5
"""Seconds between two pairings that a participant asked for."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a carrier knows to be at the other end of a line."""

    room: str
    identity: str


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a line's participant is."""

    room: Room
    stay: Stay


class Line:
    """One participant's way to the switchboard, from its hello on. `caller`: who must be at its other end, where the
    carrier knows that."""

    def __init__(
        self,
        board: Switchboard,
        deliver: Callable[[bytes], None],
        hang_up: Callable[[], None],
        caller: Caller | None,
    ) -> None:
        self._board = board
        self._deliver = deliver
        self._on_hang_up = hang_up
        self._caller = caller
        self._seat: Seat | None = None
        self._over = False

    def receive(self, message: bytes) -> None:
        if self._over:
            return
        try:
            said = read_from_participant(message)
            if isinstance(said, Hello):
                self._hello(said)
            elif (seat := self._seat) is None:
                raise refusal("say hello first", "protocol")
            elif seat.room.holds(seat.stay) and seat.stay.tell == self._tell:
                seat.stay.heard_at = self._board.clock.monotonic()
                self._take(said, seat.room, seat.stay)
        except UTDStreamException as error:
            # A line that talks nonsense is closed: its other half is broken or hostile, and neither gets better.
            reason = error.details.get("reason", "protocol") if isinstance(error, ConnectFailed) else "protocol"
            self._refuse(str(reason), error.message)

    def lose(self) -> None:
        if not self._over:
            self._over = True
            self._board.forget(self)
            self._let_go()

    def hang_up(self) -> None:
        """The last word was said. Idempotent."""
        if not self._over:
            self._over = True
            self._board.forget(self)
            self._on_hang_up()

    def _tell(self, message: Message) -> None:
        if not self._over:
            self._deliver(message.encode())
            if isinstance(message, Ended | Refused):
                self.hang_up()

    def _refuse(self, reason: str, message: str) -> None:
        if self._seat is not None:
            room, stay = self._seat.room, self._seat.stay
            if stay.tell == self._tell:
                room.leave(stay, DisconnectReason.UNKNOWN)
        self._tell(Refused(reason=reason, message=message))

    def _let_go(self) -> None:
        if self._seat is not None and self._seat.stay.tell == self._tell:
            self._seat.stay.tell = None
            self._seat.stay.heard_at = self._board.clock.monotonic()

    def _hello(self, hello: Hello) -> None:
        if self._seat is not None:
            raise refusal("one hello is enough", "protocol")
        if not 1 <= hello.version <= VERSION:
            raise refusal(f"this side speaks versions 1 to {VERSION}, not {hello.version}", "version")
        if hello.stay is not None:
            self._return(hello, hello.stay)
            return
        claims, room = self._board.admit(hello.token, self._caller)
        if room.silences.get(claims.identity, 0):
            room.silences[claims.identity] -= 1
            return
        self._seat = Seat(room, self._board.enter(claims, room, hello.version, self._tell))

    def _return(self, hello: Hello, stay_id: str) -> None:
        """Somebody is back: only who was given the id of the stay knows it, and the token may have run out since."""
        seat = self._board.seat_of(hello.token, self._caller)
        if seat is None or not secrets.compare_digest(seat.stay.id.encode(), stay_id.encode()):
            raise refusal("this stay is over; ask for a new ticket", "stay_over")
        self._seat = seat
        room, stay = seat.room, seat.stay
        stay.tell, stay.version = self._tell, hello.version
        stay.heard_at = self._board.clock.monotonic()
        room.welcome(stay)
        if hello.generation != room.generation:
            room.pair(self._board.clock.monotonic())

    def _take(self, said: object, room: Room, stay: Stay) -> None:
        match said:
            case Publish():
                self._publish(said, room, stay)
            case Unpublish(track=track_id):
                if (track := stay.track(track_id)) is not None:
                    room.unpublish(stay, track)
            case Mute(track=track_id):
                if (track := stay.track(track_id)) is not None:
                    room.mute(stay, track, said.muted, by_server=False)
                self._tell(Done(request=said.request))
            case Description() | Candidate():
                other = room.other(stay)
                if other is not None and said.generation == room.generation:
                    other.say(said)
            case Rebuild(generation=generation):
                # Both sides notice a dead way; only the first word about a generation counts. One that comes at once
                # after a pairing comes from a peer that cannot or will not: it has to ask again.
                now = self._board.clock.monotonic()
                if generation == room.generation and now - room.paired_at >= REBUILD_INTERVAL:
                    room.pair(now)
            case Ping():
                self._tell(Pong())
            case Bye():
                room.leave(stay, DisconnectReason.CLIENT_LEFT)
                self.hang_up()

    def _publish(self, said: Publish, room: Room, stay: Stay) -> None:
        track = said.track.track()
        if track.source not in stay.grant.publish:
            message = (
                f"the grant of {stay.identity!r} does not hold {track.source.value!r}; "
                "ask for a seat, a stage place or a role that does"
            )
            self._tell(Denied(request=said.request, code=ErrorCode.PUBLISH_REFUSED, message=message))
            return
        other = room.other(stay)
        if other is not None and other.track(track.id) is not None:
            raise InvalidInput(f"track {track.id} is somebody else's")
        # Told before the other hears of it, so that a publisher never learns of its own track from elsewhere first.
        self._tell(Done(request=said.request))
        room.publish(stay, track)
