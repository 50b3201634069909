"""The control half at work: it lets participants in, keeps the roster, and passes SDP between exactly two.

It is the authority: a grant, a mute, a removal is what this says, and each peer holds the other to it. It sees no
media.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from utd_core.concurrency import Clock, TaskScope
from utd_core.errors import Closed, ErrorCode, NotFound
from utd_core.media.backend import JoinTicket
from utd_core.media.events import DisconnectReason
from utd_core.media.notices import Listeners, Notifier
from utd_core.media.profiles import Profile
from utd_core.media.signalling import SignallingDesk, SignallingLine
from utd_core.media.tokens import Claims, TokenSigner, refusal
from utd_core.model.permission import Grant

from . import registry
from .capabilities import MAX_PARTICIPANTS
from .line import Caller, Line, Seat
from .protocol import IceServerBody, Message, Ping
from .rooms import Room, Stay
from .settings import Settings
from .turn import turn_credentials


class Switchboard(SignallingDesk):
    """Rooms of two, and the lines of those who are in them. Reachable in this process as `p2p+local:<id>`.

    Its one task runs in `scope`, which is its owner's.
    """

    def __init__(self, settings: Settings, clock: Clock, scope: TaskScope) -> None:
        self.settings = settings
        self.clock = clock
        self.listeners = Listeners()
        self.notifier = Notifier(clock, self.listeners.tell)
        self.rooms: dict[str, Room] = {}
        self.url = registry.register(self)
        self._tokens = TokenSigner(settings.secret.encode(), "webrtc_p2p")
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
            self.listeners.close()

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

    def issue(self, room: str, identity: str, grant: Grant, profile: Profile, ttl: float) -> JoinTicket:
        """A ticket for a participant."""
        expires_at = self.clock.now() + ttl
        return JoinTicket(self.url, self._tokens.sign(Claims(room, identity, profile, grant, expires_at)), expires_at)

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

    def open_line(
        self,
        deliver: Callable[[bytes], None],
        hang_up: Callable[[], None],
        lost: Callable[[], None],
        caller: Caller | None = None,
    ) -> SignallingLine:
        """A line for somebody who wants to talk, as `caller` if that is known; it is never lost from here."""
        if self._closed:
            raise Closed("this webrtc_p2p backend was closed; make a new one")
        line = Line(self, deliver, hang_up, caller)
        self._lines.add(line)
        return line

    def forget(self, line: Line) -> None:
        """The line is over."""
        self._lines.discard(line)

    def admit(self, token: str, caller: Caller | None) -> tuple[Claims, Room]:
        """Check a token against the rooms, and who shows it. Raises `ConnectFailed`, whose details hold a `reason`."""
        claims = self._read(token, caller, self.clock.now())
        room = self.rooms.get(claims.room)
        if room is None:
            raise refusal(
                f"room {claims.room!r} does not exist (closed, or never made); create it first", "room_not_found"
            )
        if room.is_full_for(claims.identity):
            more = "; for rooms of more, use a backend with a media server" if room.limit == MAX_PARTICIPANTS else ""
            raise refusal(
                f"room {room.name!r} is full with {room.limit} participants; wait until somebody leaves{more}",
                "room_full",
            )
        return claims, room

    def seat_of(self, token: str, caller: Caller | None) -> Seat | None:
        """Where the one is now to whom a token was given. Raises `ConnectFailed` for one that is forged, or shown by
        somebody else."""
        claims = self._read(token, caller, None)
        room = self.rooms.get(claims.room)
        stay = None if room is None else room.stays.get(claims.identity)
        return None if room is None or stay is None else Seat(room, stay)

    def enter(self, claims: Claims, room: Room, version: int, tell: Callable[[Message], None]) -> Stay:
        """Let a participant in who speaks that version."""
        stay = Stay(
            secrets.token_hex(16),
            claims.identity,
            claims.profile,
            claims.grant,
            self.clock.now(),
            version,
            tell,
            self.clock.monotonic(),
        )
        room.enter(stay, stay.heard_at)
        return stay

    def _read(self, token: str, caller: Caller | None, now: float | None) -> Claims:
        claims = self._tokens.read(token, now)
        if caller is not None and (claims.room, claims.identity) != (caller.room, caller.identity):
            raise refusal("this token is somebody else's, or of another room; use that of your own ticket", "bad_token")
        return claims

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


class Desk(SignallingDesk):
    """The switchboard for one participant, whom the carrier knows."""

    def __init__(self, board: Switchboard, caller: Caller) -> None:
        self._board = board
        self._caller = caller

    def open_line(
        self, deliver: Callable[[bytes], None], hang_up: Callable[[], None], lost: Callable[[], None]
    ) -> SignallingLine:
        return self._board.open_line(deliver, hang_up, lost, self._caller)
