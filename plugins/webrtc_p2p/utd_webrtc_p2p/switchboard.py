"""The control half at work: it lets participants in, keeps the roster, and passes SDP between exactly two.

It is the authority: a grant, a mute, a removal is what this says, and each peer holds the other to it. It sees no
media.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from utd_core.concurrency import Clock, TaskScope
from utd_core.errors import Closed, ConnectFailed, ErrorCode, InvalidInput, NotFound, UTDStreamException
from utd_core.media.backend import JoinTicket
from utd_core.media.events import DisconnectReason
from utd_core.media.signalling import SignallingDesk, SignallingLine
from utd_core.model.permission import Grant

from . import registry
from .capabilities import MAX_PARTICIPANTS
from .notifications import Notifier
from .protocol import (
    VERSION,
    Bye,
    Candidate,
    Denied,
    Description,
    Done,
    Ended,
    Hello,
    IceServerBody,
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
from .settings import Settings
from .tokens import Claims, TokenSigner, refusal
from .turn import turn_credentials

REBUILD_INTERVAL = 0.5
"""Seconds between two pairings that a participant asked for."""


class Switchboard(SignallingDesk):
    """Rooms of two, and the lines of those who are in them. Reachable in this process as `p2p+local:<id>`.

    Its one task runs in `scope`, which is its owner's.
    """

    def __init__(self, settings: Settings, clock: Clock, scope: TaskScope) -> None:
        self.settings = settings
        self.clock = clock
        self.notifier = Notifier(clock)
        self.rooms: dict[str, Room] = {}
        self.url = registry.register(self)
        self._tokens = TokenSigner(settings.secret)
        self._lines: set[Line] = set()
        self._scope = scope
        self._watching = False
        self._closed = False

    async def open(self) -> None:
        """Begin to watch for participants who have fallen silent. Idempotent; raises `Closed` after `close`."""
        await self._scope.open()
        if not self._watching:
            self._watching = True
            self._scope.start(self._watch)

    def close(self) -> None:
        """Everybody is disconnected (SERVER_SHUTDOWN). Idempotent."""
        if not self._closed:
            self._closed = True
            registry.forget(self)
            for room in list(self.rooms.values()):
                for stay in list(room.stays.values()):
                    room.end(stay, DisconnectReason.SERVER_SHUTDOWN)
            self.rooms.clear()
            for line in list(self._lines):
                line.hang_up()
            self.notifier.close()

    def create_room(self, name: str, limit: int | None) -> None:
        """Make a room, or change the limit of one that exists; more than two are never let in."""
        room = self.rooms.get(name)
        if room is None:
            room = Room(name, self.notifier, self._ice_servers, relay_only=self.settings.relay_only)
            self.rooms[name] = room
        if limit is not None:
            room.limit = min(limit, MAX_PARTICIPANTS)

    def close_room(self, name: str) -> None:
        """Disconnect everybody and forget the room."""
        if (room := self.rooms.pop(name, None)) is not None:
            room.close()

    def issue(self, room: str, identity: str, grant: Grant, name: str, ttl: float) -> JoinTicket:
        """A ticket for a participant."""
        expires_at = self.clock.now() + ttl
        return JoinTicket(self.url, self._tokens.sign(Claims(room, identity, name, grant, expires_at)), expires_at)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after a time, unless this is closed by then."""

        async def wait() -> None:
            await self.clock.sleep(seconds)
            act()

        self._scope.start(wait)

    def find(self, room: str, identity: str) -> tuple[Room, Stay]:
        """Raises `NotFound` (participant_not_found), for an unknown room as well."""
        place = self.rooms.get(room)
        stay = None if place is None else place.stays.get(identity)
        if place is None or stay is None:
            raise NotFound(f"{identity!r} is not connected to room {room!r}", code=ErrorCode.PARTICIPANT_NOT_FOUND)
        return place, stay

    def open_line(self, deliver: Callable[[bytes], None], hang_up: Callable[[], None]) -> SignallingLine:
        """A line for somebody who wants to talk. Raises `Closed`."""
        if self._closed:
            raise Closed("this webrtc_p2p backend was closed; make a new one")
        line = Line(self, deliver, hang_up)
        self._lines.add(line)
        return line

    def forget(self, line: Line) -> None:
        """The line is over."""
        self._lines.discard(line)

    def admit(self, token: str) -> tuple[Claims, Room]:
        """Check a token against the rooms. Raises `ConnectFailed`, whose details hold a `reason`."""
        claims = self._tokens.read(token, self.clock.now())
        room = self.rooms.get(claims.room)
        if room is None:
            raise refusal(
                f"room {claims.room!r} does not exist (closed, or never made); create it first", "room_not_found"
            )
        if room.is_full_for(claims.identity):
            raise refusal(
                f"room {room.name!r} is full with {room.limit} participants; wait until somebody leaves", "room_full"
            )
        return claims, room

    def seat_of(self, token: str) -> Seat | None:
        """Where the one is now to whom a token was given. Raises `ConnectFailed` for a token that is forged."""
        claims = self._tokens.read(token, now=None)
        room = self.rooms.get(claims.room)
        stay = None if room is None else room.stays.get(claims.identity)
        return None if room is None or stay is None else Seat(room, stay)

    def enter(self, claims: Claims, room: Room, tell: Callable[[Message], None]) -> Stay:
        """Let a participant in."""
        now = self.clock
        stay = Stay(secrets.token_hex(16), claims.identity, claims.name, claims.grant, now.now(), tell, now.monotonic())
        room.enter(stay, now.monotonic())
        return stay

    def _ice_servers(self, identity: str) -> tuple[IceServerBody, ...]:
        settings = self.settings
        servers = []
        if settings.stun_urls:
            servers.append(IceServerBody(urls=settings.stun_urls))
        if settings.turn_urls and settings.turn_secret is not None:
            credentials = turn_credentials(settings.turn_secret, identity, self.clock.now() + settings.turn_ttl)
            servers.append(
                IceServerBody(urls=settings.turn_urls, username=credentials.username, credential=credentials.password)
            )
        return tuple(servers)

    async def _watch(self) -> None:
        """Ask who is silent, and let go who stays silent."""
        limit = self.settings.recovery_timeout
        interval = limit / 6
        while True:
            await self.clock.sleep(interval)
            now = self.clock.monotonic()
            for room in list(self.rooms.values()):
                for stay in list(room.stays.values()):
                    silent = now - stay.heard_at
                    if silent > limit:
                        room.end(stay, DisconnectReason.SIGNAL_LOST)
                    elif silent > interval:
                        stay.say(Ping())


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a line's participant is."""

    room: Room
    stay: Stay


class Line:
    """One participant's way to the switchboard, from its hello on."""

    def __init__(self, board: Switchboard, deliver: Callable[[bytes], None], hang_up: Callable[[], None]) -> None:
        self._board = board
        self._deliver = deliver
        self._on_hang_up = hang_up
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
        if hello.version != VERSION:
            raise refusal(f"this side speaks version {VERSION}, not {hello.version}", "version")
        if hello.stay is not None:
            self._return(hello, hello.stay)
            return
        claims, room = self._board.admit(hello.token)
        if room.silences.get(claims.identity, 0):
            room.silences[claims.identity] -= 1
            return
        self._seat = Seat(room, self._board.enter(claims, room, self._tell))

    def _return(self, hello: Hello, stay_id: str) -> None:
        """Somebody is back: only who was given the id of the stay knows it, and the token may have run out since."""
        seat = self._board.seat_of(hello.token)
        if seat is None or not secrets.compare_digest(seat.stay.id.encode(), stay_id.encode()):
            raise refusal("this stay is over; ask for a new ticket", "stay_over")
        self._seat = seat
        room, stay = seat.room, seat.stay
        stay.tell = self._tell
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
