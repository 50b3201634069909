"""Signalling of media backends without a server: lines from participants to the control half.

- A line is for who may have a media connection there: a party of a call that goes on, or who has a place in a room.
- The engine passes messages on as they are, both ways. What they say, and to whom, is the control half's business.
- When the engine ends, its lines are lost: another one may work for the project, and has a control half of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import Closed, Conflict, ErrorCode, Forbidden, NotFound, Unsupported
from ...media.signalling import SignallingDesk, SignallingLine
from ...model.call import Call, media_room
from ...model.channels import call_channel, room_channel
from ...model.command import Actor
from ..core import Core, States
from ..kinds import CALL

_CALL, _ROOM = call_channel(""), room_channel("")


class Signals:
    """Hands out desks, and loses their lines at the end."""

    def __init__(self, core: Core, states: States) -> None:
        self._core = core
        self._states = states
        self._lines: set[_Line] = set()
        self._closed = False

    async def desk(self, channel: str, actor: Actor) -> SignallingDesk:
        """Where the actor opens lines for its media connection to the room or call of a channel.

        Raises `Unsupported` with a backend that needs none, `Forbidden`, `NotFound`, `Conflict` (not_joined, or the
        call is over), and `StoreFailed`.
        """
        backend = self._core.backend
        if not backend.capabilities.signalling:
            raise Unsupported(
                f"backend {backend.name!r} declares no `signalling`: its participants connect to a media server"
            )
        if actor.is_trusted:
            raise Forbidden("the application's server has no media connection, and so nothing to signal")
        if channel.startswith(_CALL):
            room, identity = await self._in_call(channel[len(_CALL) :], actor)
        elif channel.startswith(_ROOM):
            room, identity = self._in_room(channel[len(_ROOM) :], actor)
        else:
            raise NotFound(f"{channel!r:.200} is the channel of no room and no call", code=ErrorCode.ROOM_NOT_FOUND)
        return _Desk(self, self._core.control.signalling(room, identity))

    def close(self) -> None:
        """Lose every line. Idempotent."""
        self._closed = True
        for line in list(self._lines):
            line.break_off()

    def open_line(
        self,
        desk: SignallingDesk,
        deliver: Callable[[bytes], None],
        hang_up: Callable[[], None],
        lost: Callable[[], None],
    ) -> SignallingLine:
        """A line at a desk of the control half, which counts here until its end. Raises `Closed`."""
        if self._closed:
            raise Closed("the engine was closed")
        line = _Line(self._lines, hang_up, lost)
        line.inner = desk.open_line(deliver, line.hung_up, line.broke)
        if not line.is_over:
            self._lines.add(line)
        return line

    async def _in_call(self, id: str, actor: Actor) -> tuple[str, str]:
        call = await self._states.state(CALL, id)
        if not isinstance(call, Call) or not call.is_party(actor.identity):
            raise NotFound("there is no such call, or it is not yours", code=ErrorCode.CALL_NOT_FOUND)
        if call.status.is_terminal:
            raise Conflict("this call is over", code=ErrorCode.CALL_ENDED)
        return media_room(call.id), actor.identity

    def _in_room(self, name: str, actor: Actor) -> tuple[str, str]:
        presence = self._core.presences.get(name)
        if presence is None or actor.identity not in presence:
            raise Conflict(f"{actor.identity!r} is not in room {name!r}; join first", code=ErrorCode.NOT_JOINED)
        return name, presence.media_identity(actor.identity, actor.device)


class _Desk(SignallingDesk):
    """The control half's desk for one participant."""

    def __init__(self, signals: Signals, inner: SignallingDesk) -> None:
        self._signals = signals
        self._inner = inner

    def open_line(
        self, deliver: Callable[[bytes], None], hang_up: Callable[[], None], lost: Callable[[], None]
    ) -> SignallingLine:
        return self._signals.open_line(self._inner, deliver, hang_up, lost)


class _Line(SignallingLine):
    """One line; `inner` is that of the control half. Both ends, and the engine, may end it, whoever comes first."""

    inner: SignallingLine

    def __init__(self, lines: set[_Line], hang_up: Callable[[], None], lost: Callable[[], None]) -> None:
        self.is_over = False
        self._lines = lines
        self._hang_up = hang_up
        self._lost = lost

    def receive(self, message: bytes) -> None:
        if not self.is_over:
            self.inner.receive(message)

    def lose(self) -> None:
        if self._end():
            self.inner.lose()

    def break_off(self) -> None:
        """The engine ends."""
        if self._end():
            self.inner.lose()
            self._lost()

    def hung_up(self) -> None:
        if self._end():
            self._hang_up()

    def broke(self) -> None:
        if self._end():
            self._lost()

    def _end(self) -> bool:
        """Whether it was not over yet."""
        was_over, self.is_over = self.is_over, True
        self._lines.discard(self)
        return not was_over
