"""One participant from its coming to its end: what the control half and the other peer say, applied and told on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

import anyio
from av.frame import Frame as Decoded

from utd_core.concurrency import BoundedQueue, Clock, Overflow, TaskScope
from utd_core.concurrency.deadline import within
from utd_core.errors import (
    Closed,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    PublishRefused,
    UTDStreamException,
)
from utd_core.media.backend import ConnectOptions
from utd_core.media.events import (
    ConnectionState,
    DataReceived,
    DisconnectReason,
    MediaEvent,
    StateChanged,
)
from utd_core.media.signalling import Signalling
from utd_core.model.permission import TrackSource

from .awareness import Awareness
from .dialogue import Dialogue
from .feeds import PictureFeed, SoundFeed
from .local import P2PLocalTrack
from .membership import Membership
from .path import Path
from .protocol import (
    Bye,
    Candidate,
    Data,
    Denied,
    Description,
    Done,
    Ended,
    FromControl,
    Hello,
    Message,
    Pairing,
    Ping,
    Pong,
    Refused,
    Welcome,
)
from .publishing import Publishing
from .receiving import Receiving
from .settings import Settings

log = logging.getLogger("utd_webrtc_p2p")

_FAREWELL = 1.0
"""Seconds that saying goodbye may take."""


class Participation:
    """Listens to the dialogue and owns the path. Everything that arrives is applied first and put into `events` then.

    `member`: who this is and who else is there; `publishing`, `receiving`: its tracks and the other's. `afterwards` is
    where letting go of everything goes on, whoever is cancelled meanwhile.
    """

    def __init__(
        self,
        signalling: Signalling,
        token: str,
        options: ConnectOptions,
        settings: Settings,
        clock: Clock,
        afterwards: TaskScope,
    ) -> None:
        self.signalling = signalling
        self.state = ConnectionState.CONNECTED
        self.events: BoundedQueue[MediaEvent] = BoundedQueue(options.event_capacity, Overflow.CLOSE)
        self.released = asyncio.Event()
        self.is_closed = False
        self.data_received = self.reconnects = 0
        self._token = token
        self._options = options
        self._settings = settings
        self._clock = clock
        self._afterwards = afterwards
        self._scope = TaskScope("utd_webrtc_p2p:connection")
        self._opened = False
        self._welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reason: DisconnectReason | None = None
        self._outage = 0
        self._dialogue = Dialogue(signalling, self)
        self.path = Path(settings, clock, self._scope, self)
        self.publishing = Publishing(self._dialogue, self._way_of, self.check_alive, lambda: self.path.is_broken, clock)
        self.receiving = Receiving(options, clock, self.path.tell_wants)
        self.member = Membership(self.events, self.path, self.publishing, self.receiving)
        self._awareness = Awareness(clock, self.events, self.member, self.path, self.publishing, self.receiving)

    async def open(self) -> None:
        """Come in, and wait for the way to who is there. Raises `ConnectFailed`, `DeadlineExceeded`, `Closed`."""
        try:
            await within(self._clock, self._options.deadline, self._come_in(), self._why_late)
        except BaseException:
            self.give_up()
            raise
        self._opened = True

    def give_up(self) -> None:
        """Leave, without waiting until everything is let go of. Idempotent."""
        if not self.is_closed:
            self.is_closed = True
            if self._reason is None:
                self.say(Bye())
            self._fail(Closed("the connection was closed while it was being made"))
            self._finish(DisconnectReason.CLIENT_LEFT)

    @property
    def is_over(self) -> bool:
        """Nothing follows, though not everything may be let go of yet."""
        return self._reason is not None

    def check_alive(self) -> None:
        """Raise `Closed` or `ConnectionLost` once it is over."""
        if self.is_closed:
            raise Closed(f"the connection of {self.member.identity!r} was closed; connect again")
        if self._reason is not None:
            raise self._lost()

    def say(self, message: Message) -> None:
        self._dialogue.say(message)

    def path_broke(self) -> None:
        self.receiving.renew()
        self._refresh_state()

    def path_is_up(self) -> None:
        self._refresh_state()

    def path_given_up(self, why: str) -> None:
        if self._opened and self._reason is None:
            log.warning("the connection of %r is given up: %s", self.member.identity, why)
            self.say(Bye())
            self._finish(DisconnectReason.SIGNAL_LOST)

    def path_gives(self, source: TrackSource, frame: Decoded) -> None:
        other = self.member.roster.other
        if other is not None and source in other.grant.publish and self.member.grant.subscribe:
            self.receiving.arrive(source, frame)

    def path_hears(self, topic: str, payload: bytes, reliable: bool) -> None:
        other = self.member.roster.other
        if other is not None and other.grant.publish_data:
            self.data_received += 1
            self.events.put(DataReceived(payload, other.identity, topic, reliable))

    def path_wants(self, wanted: Mapping[str, bool]) -> None:
        self.publishing.take_wants(wanted)

    def wants(self) -> Mapping[str, bool]:
        return self.receiving.wants()

    def signal_lost(self) -> None:
        self._outage += 1
        if self.member.stay is not None and self._reason is None:
            self._scope.start(self._await_signal, self._outage)
            self._refresh_state()

    def signal_restored(self) -> None:
        hello = Hello(token=self._token, stay=self.member.stay, generation=self.path.live_generation)
        self._dialogue.greet(hello, again=self.member.stay is not None)

    def hung_up(self) -> None:
        self._fail(ConnectFailed("the control half hung up", details={"reason": "server_away"}))
        self._finish(DisconnectReason.SIGNAL_LOST)

    def hear(self, message: FromControl) -> None:
        if self._reason is not None:
            return
        match message:
            case Welcome():
                self._take_welcome(message)
            case Refused():
                self._take_refusal(message)
            case Ended(reason=reason):
                self._fail(ConnectFailed(f"the stay ended as it began ({reason})", details={"reason": reason.value}))
                self._finish(reason)
            case Ping():
                self.say(Pong())
            case Done(request=number):
                self._dialogue.done(number)
            case Denied():
                self._dialogue.denied(message.request, PublishRefused(message.message))
            case Pairing():
                self.path.pair(message)
            case Description() | Candidate():
                self.path.take(message)
            case Data():
                self.data_received += 1
                self.events.put(DataReceived(message.content(), None, message.topic, message.reliable))
            case _:
                self.member.hear(message)
                self._refresh_state()

    async def _come_in(self) -> None:
        await self._scope.open()
        self._scope.start(self._dialogue.talk)
        self._scope.start(self._dialogue.listen)
        self._scope.start(self.path.watch)
        self._scope.start(self._awareness.watch)
        self._dialogue.greet(Hello(token=self._token), again=False)
        await asyncio.shield(self._welcomed)
        await self.path.settled()
        if self._reason is not None and not self.is_closed:
            raise ConnectFailed(
                f"the stay of {self.member.identity!r} in room {self.member.room!r} ended as it began ({self._reason})",
                details={"reason": self._reason.value},
            )
        self.check_alive()

    def _why_late(self) -> str:
        after = f"within {self._options.deadline:g} s"
        if self.member.stay is None:
            return f"the control half of webrtc_p2p did not answer {after}"
        return f"no way to the other participant was found {after}: {self.path.why_not_up()}"

    async def _await_signal(self, outage: int) -> None:
        await self._clock.sleep(self._settings.recovery_timeout)
        if self._dialogue.is_away and self._outage == outage:
            self._finish(DisconnectReason.SIGNAL_LOST)

    def _take_welcome(self, welcome: Welcome) -> None:
        if self.member.stay is None:
            self.member.begin(welcome)
            if not self._welcomed.done():
                self._welcomed.set_result(None)
        else:
            self._dialogue.welcomed_again()
            self.member.catch_up(welcome)
            self._refresh_state()

    def _take_refusal(self, refused: Refused) -> None:
        self._fail(ConnectFailed(refused.message, details={"reason": refused.reason}))
        self._finish(DisconnectReason.SIGNAL_LOST)

    def _way_of(self, track: P2PLocalTrack) -> SoundFeed | PictureFeed | None:
        """Where frames of a track go: nowhere, unless both grants allow it and the other wants it."""
        other = self.member.roster.other
        source = track.info.source
        if other is None or not (other.grant.subscribe and track.wanted and source in self.member.grant.publish):
            return None
        return self.path.feed(source)

    def _lost(self) -> UTDStreamException:
        if self.is_closed:
            return Closed(f"the connection of {self.member.identity!r} was closed; connect again")
        reason = self._reason or DisconnectReason.UNKNOWN
        return ConnectionLost(
            f"the connection of {self.member.identity!r} to room {self.member.room!r} has ended ({reason}); "
            "connect again",
            details={"reason": reason.value},
        )

    def _refresh_state(self) -> None:
        state = (
            ConnectionState.RECONNECTING if self._dialogue.is_away or self.path.is_broken else ConnectionState.CONNECTED
        )
        if self.state not in (state, ConnectionState.DISCONNECTED):
            self.state = state
            self.reconnects += state is ConnectionState.CONNECTED
            self.events.put(StateChanged(state))

    def _fail(self, error: UTDStreamException) -> None:
        """Tell who waits to come in."""
        if not self._welcomed.done():
            self._welcomed.set_exception(error)

    def _finish(self, reason: DisconnectReason) -> None:
        if self._reason is not None:
            return
        self._reason = reason
        self.state = ConnectionState.DISCONNECTED
        self.publishing.close()
        self.receiving.close()
        self.member.roster.clear()
        self.path.close()
        self._dialogue.close(self._lost())
        # Read by nobody where `open` was left before it came to that.
        self._fail(self._lost())
        self._welcomed.exception()
        self.events.put(StateChanged(ConnectionState.DISCONNECTED, reason))
        self.events.close()
        try:
            self._afterwards.start(self._release)
        except Closed:
            self.released.set()

    async def _release(self) -> None:
        """Let go of everything, whoever is cancelled meanwhile."""
        with anyio.CancelScope(shield=True):
            with suppress(DeadlineExceeded):
                if self._scope.is_open:
                    await within(self._clock, _FAREWELL, self._dialogue.said_all(), "no goodbye")
            await self._scope.aclose()
            await self.signalling.aclose()
            self.released.set()
