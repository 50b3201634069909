"""The way to the other participant: one peer connection after the other, each built when the one before died.

While a way is dead its tracks, readers and unacknowledged data live on; they go over the next one. Whether a way is
alive is known by its heartbeat: ICE itself takes half a minute to miss a peer that was killed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from av.frame import Frame

from utd_core.concurrency import Clock, TaskScope
from utd_core.errors import InvalidInput
from utd_core.model.permission import TrackSource

from .feeds import PictureFeed, SoundFeed
from .figures import WireFigures, wire_figures
from .peer import LOSSY, RELIABLE, Peer
from .protocol import Candidate, Description, Message, Pairing, Rebuild
from .reliable import ACK_EVERY, ReliableData
from .settings import Settings
from .wires import Beat, Loose, Numbered, encode_beat, encode_loose, encode_wants, read_lossy, read_reliable

log = logging.getLogger("utd_webrtc_p2p")

_LOSSY_BACKLOG = 100_000
"""Bytes that wait to be sent, from which on lossy data is lost here already."""


class PathOwner(Protocol):
    """The connection that a path belongs to."""

    def say(self, message: Message) -> None:
        """Tell the control half."""

    def path_broke(self) -> None:
        """There was a way, and it is dead; the next one is being built."""

    def path_is_up(self) -> None:
        """There is a way."""

    def path_given_up(self, why: str) -> None:
        """No way was found for too long."""

    def path_gives(self, source: TrackSource, frame: Frame) -> None:
        """A frame has arrived."""

    def path_hears(self, topic: str, payload: bytes, reliable: bool) -> None:
        """Data has arrived."""

    def path_wants(self, wanted: Mapping[str, bool]) -> None:
        """Which tracks the other side wants now."""

    def wants(self) -> Mapping[str, bool]:
        """Which tracks of the other side are wanted here now."""


class Path:
    """`open()` begins to watch; pairings come from the control half."""

    def __init__(self, settings: Settings, clock: Clock, scope: TaskScope, owner: PathOwner) -> None:
        self._settings = settings
        self._clock = clock
        self._scope = scope
        self._owner = owner
        self._peer: Peer | None = None
        self._data = ReliableData()
        self._expected = False
        self._settled = asyncio.Event()
        self._settled.set()
        self._why = "nobody else is there"
        self._last_generation = self._up_generation = 0
        self._began_at = self._heard_at = clock.monotonic()
        self._down_since: float | None = None
        self._was_up = False
        self._held_until = 0.0
        self._beats = 0
        self._beaten_at = self._asked_at = 0.0
        self.round_trip: float | None = None
        """Seconds, of the last heartbeat."""

    @property
    def peer(self) -> Peer | None:
        """The one of now, if there is one."""
        return self._peer

    @property
    def is_up(self) -> bool:
        return self._peer is not None and self._peer.is_up

    @property
    def is_broken(self) -> bool:
        """There was a way to the one who is there, and now there is none."""
        return self._expected and self._was_up and not self.is_up

    @property
    def silent_for(self) -> float:
        """Seconds since the other side gave its last sign of life."""
        return self._clock.monotonic() - self._heard_at

    @property
    def live_generation(self) -> int:
        """The generation of the way that is alive, 0 without one."""
        return self._peer.generation if self._peer is not None and self._peer.is_up else 0

    async def settled(self) -> None:
        """Wait until there is a way, or nobody to have one to."""
        await self._settled.wait()

    def why_not_up(self) -> str:
        """What stands in the way, for the error of who waited."""
        return self._why if self._peer is None else self._peer.why_not_up()

    def expect(self) -> None:
        """Somebody is there, and a pairing will come."""
        self._expected = True
        self._was_up = False
        self._data = ReliableData()
        self._settled.clear()
        self._down_since = self._clock.monotonic()

    def forget(self) -> None:
        """Whoever was there has left."""
        self._expected = self._was_up = False
        self._why = "nobody else is there"
        self.round_trip = None
        self._data.give_up()
        self._drop_peer()
        self._settled.set()

    def pair(self, pairing: Pairing) -> None:
        """Build the way of a new generation."""
        if not self._expected or pairing.generation <= self._last_generation:
            return
        self._last_generation = pairing.generation
        self._drop_peer()
        if self._was_up:
            self._owner.path_broke()
        self._began_at = self._clock.monotonic()
        self._peer = Peer(pairing, self._settings, self._clock, self)
        self._scope.start(self._peer.run, name=f"peer:{pairing.generation}")

    def take(self, message: Description | Candidate) -> None:
        """The other side's word about the way that is being built."""
        if self._peer is not None and message.generation == self._peer.generation:
            self._peer.inbox.put(message)

    def feed(self, source: TrackSource) -> SoundFeed | PictureFeed | None:
        """Where frames of a source go in; None while there is no way."""
        return None if self._peer is None or not self._peer.takes_media else self._peer.feeds[source]

    async def figures(self) -> WireFigures:
        """What the network made of the tracks; nothing while there is no way."""
        native = None if self._peer is None or not self._peer.is_up else self._peer.native
        return WireFigures() if native is None else await wire_figures(native)

    def tell_wants(self) -> None:
        """Tell the other side anew which of its tracks are wanted."""
        if self.is_up:
            self._send(encode_wants(self._owner.wants()), RELIABLE)

    async def send_reliable(self, topic: str, payload: bytes) -> None:
        """Send data that arrives, once and in order, as long as the other stays; waits while too much is under way."""
        data = self._data
        await data.has_room()
        message = data.post(topic, payload)
        if data is self._data and self.is_up:
            self._send(message, RELIABLE)

    def send_lossy(self, topic: str, payload: bytes) -> None:
        """Send data that may be lost."""
        if self._peer is not None and self.is_up and self._peer.buffered(LOSSY) < _LOSSY_BACKLOG:
            self._send(encode_loose(topic, payload), LOSSY)

    def break_off(self, seconds: float) -> None:
        """A fault: the way dies, and nothing is done about it for `seconds`."""
        self._held_until = self._clock.monotonic() + seconds
        if self._peer is not None:
            self._broken(self._peer, "the fault full_reconnect was injected")

    async def watch(self) -> None:
        """Give signs of life, miss those of the other side, and have dead ways rebuilt; never returns."""
        settings = self._settings
        # Looked at more often than beaten, so that a silence is noticed soon after it has lasted long enough.
        interval = min(settings.heartbeat, settings.heartbeat_timeout / 10)
        while True:
            before = self._clock.monotonic()
            await self._clock.sleep(interval)
            now = self._clock.monotonic()
            if now - before > interval + settings.heartbeat:
                # This side was held up itself; nobody else is to blame for the silence.
                self._heard_at = now
            self._look(now)

    def close(self) -> None:
        """End what there is. Idempotent."""
        self._expected = False
        self._data.give_up()
        self._drop_peer()
        self._settled.set()

    def peer_says(self, message: Message) -> None:
        self._owner.say(message)

    def peer_is_up(self, peer: Peer) -> None:
        if peer is not self._peer:
            return
        self._heard_at = self._clock.monotonic()
        self._was_up = True
        self._up_generation = peer.generation
        self._down_since = None
        for message in self._data.again():
            self._send(message, RELIABLE)
        self.tell_wants()
        self._settled.set()
        self._owner.path_is_up()

    def peer_is_lost(self, peer: Peer, why: str) -> None:
        self._broken(peer, why)

    def peer_gives(self, source: TrackSource, frame: Frame) -> None:
        self._owner.path_gives(source, frame)

    def peer_hears(self, message: bytes | str, channel: str) -> None:
        self._heard_at = self._clock.monotonic()
        try:
            said = read_reliable(message) if channel == RELIABLE else read_lossy(message)
        except InvalidInput as error:
            log.info("data of the other side is passed over: %s", error)
            return
        match said:
            case Numbered():
                if self._data.arrived(said):
                    if said.number % ACK_EVERY == 0:
                        self._beat()
                    self._owner.path_hears(said.topic, said.payload, True)
            case Loose():
                self._owner.path_hears(said.topic, said.payload, False)
            case Beat():
                self._take_beat(said)
            case _:
                self._owner.path_wants(said.wanted)

    def _take_beat(self, beat: Beat) -> None:
        self._data.acknowledge(beat.ack)
        if not beat.is_echo:
            self._send(encode_beat(Beat(beat.number, self._data.received, is_echo=True)), LOSSY)
        elif beat.number == self._beats:
            self.round_trip = self._clock.monotonic() - self._beaten_at

    def _beat(self) -> None:
        self._beats = (self._beats + 1) % 2**32
        self._beaten_at = self._clock.monotonic()
        self._send(encode_beat(Beat(self._beats, self._data.received)), LOSSY)

    def _send(self, message: bytes | str, channel: str) -> None:
        peer = self._peer
        if peer is not None:
            try:
                peer.send(message, channel)
            except ConnectionError as error:
                self._broken(peer, str(error))

    def _look(self, now: float) -> None:
        if not self._expected:
            return
        peer, settings = self._peer, self._settings
        if self.is_up:
            silent = now - self._heard_at
            if peer is not None and silent > settings.heartbeat_timeout:
                self._broken(peer, f"the other side gave no sign of life for {silent:.1f} s")
            elif now - self._beaten_at >= settings.heartbeat:
                self._beat()
            return
        if now < self._held_until:
            return
        if self._down_since is not None and now - self._down_since > settings.recovery_timeout:
            self._owner.path_given_up(self.why_not_up())
        elif peer is None and now - self._asked_at >= settings.heartbeat:
            self._ask()
        elif peer is not None and now - self._began_at > settings.path_timeout:
            self._broken(peer, peer.why_not_up())

    def _broken(self, peer: Peer, why: str) -> None:
        if peer is not self._peer:
            return
        self._why = why
        self._drop_peer()
        if self._expected:
            log.info("the way of generation %s is dead: %s", peer.generation, why)
            if self._was_up:
                self._owner.path_broke()
            if self._up_generation == peer.generation:
                self._ask()
            # One that never came up is asked for again by the watch: not as fast as a broken peer can fail.

    def _drop_peer(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            if self._down_since is None:
                self._down_since = self._clock.monotonic()
            peer.stop()

    def _ask(self) -> None:
        """Have the control half pair the two anew."""
        now = self._clock.monotonic()
        if now >= self._held_until:
            self._asked_at = now
            self._owner.say(Rebuild(generation=self._last_generation, why=self._why[:1_000]))
