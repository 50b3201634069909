"""One `RTCPeerConnection` and its life: negotiated once, never renegotiated, closed with everything it holds.

All sections are there from the start, so that a track that comes, goes or is muted needs no word of SDP. When its way
dies the peer is over; `path.py` builds the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any, Protocol

import anyio
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcconfiguration import RTCIceTransportPolicy
from aiortc.sdp import candidate_from_sdp
from av.frame import Frame

from utd_core.concurrency import BoundedQueue, Clock, Overflow, TaskScope
from utd_core.errors import InvalidInput
from utd_core.media.events import TrackKind
from utd_core.model.permission import TrackSource

from .capabilities import SOURCES
from .connecting import Connecting
from .decoders import DecoderThreads
from .feeds import PictureFeed, SoundFeed
from .gathering import Gathering
from .jitter import shorten
from .loopback import loopback
from .protocol import Candidate, Description, Message, Pairing
from .sdp import check_candidate, check_sdp
from .settings import Settings
from .unused import hush

log = logging.getLogger("utd_webrtc_p2p")

_OPUS = [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.mimeType.lower() == "audio/opus"]

RELIABLE, LOSSY = "reliable", "lossy"
_INBOX = 300


class PeerOwner(Protocol):
    """Who builds a peer, and hears of it."""

    def peer_says(self, message: Message) -> None:
        """A description for the other side."""

    def peer_is_up(self, peer: Peer) -> None:
        """Media flows, and data can be sent."""

    def peer_is_lost(self, peer: Peer, why: str) -> None:
        """It will not carry anything any more."""

    def peer_gives(self, source: TrackSource, frame: Frame) -> None:
        """A frame has arrived."""

    def peer_hears(self, message: bytes | str, channel: str) -> None:
        """Data has arrived."""


class Peer:
    """Made for one pairing. `run()` is its life."""

    def __init__(self, pairing: Pairing, settings: Settings, clock: Clock, owner: PeerOwner) -> None:
        self.generation = pairing.generation
        self.is_up = False
        self.inbox: BoundedQueue[Description | Candidate] = BoundedQueue(_INBOX, Overflow.DROP_NEWEST)
        self.feeds: dict[TrackSource, SoundFeed | PictureFeed] = {
            source: (SoundFeed if TrackKind.of(source) is TrackKind.AUDIO else PictureFeed)(clock) for source in SOURCES
        }
        self._pairing = pairing
        self._wanted = "answer" if pairing.role == "offerer" else "offer"
        self._settings = settings
        self._owner = owner
        self._over = False
        self._end = asyncio.Event()
        self._negotiated = asyncio.Event()
        self._negotiated.set()
        self._gathering = Gathering()
        self._connecting = Connecting(self._failed)
        self._threads = DecoderThreads()
        self._connection: RTCPeerConnection | None = None
        self._channels: dict[str, Any] = {}
        self._scope = TaskScope(f"utd_webrtc_p2p:peer:{self.generation}")
        self._described = False
        """The other side's description has come."""

    @property
    def native(self) -> RTCPeerConnection | None:
        """aiortc's own object; None before and after."""
        return self._connection

    @property
    def takes_media(self) -> bool:
        """Frames find their way: before it is up, for which the data channels have to be open too."""
        return not self._over and self._connection is not None and self._connection.connectionState == "connected"

    async def run(self) -> None:
        """Negotiate, carry, and close. Returns after `stop()`, or when the way is lost, which the owner is told."""
        await self._scope.open()
        try:
            self._negotiated.clear()
            self._scope.start(self._negotiate)
            await self._end.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await self._close()

    def stop(self) -> None:
        """End it; nothing is told of it any more. Idempotent."""
        self._over = True
        self.is_up = False
        self._end.set()
        for feed in self.feeds.values():
            feed.stop()

    def send(self, message: bytes | str, channel: str) -> None:
        """Send data. Raises `ConnectionError` where the way is gone."""
        open_channel = self._channels.get(channel)
        if open_channel is None or open_channel.readyState != "open":
            raise ConnectionError(f"the channel {channel} is not open")
        open_channel.send(message)

    def buffered(self, channel: str) -> int:
        """Bytes that wait to be sent."""
        open_channel = self._channels.get(channel)
        return 0 if open_channel is None else int(open_channel.bufferedAmount)

    def why_not_up(self) -> str:
        """How far it came, for the error of who waited."""
        connection = self._connection
        if connection is None:
            return "it was not begun"
        local, remote = self._candidates()
        said = [
            f"ICE is {connection.iceConnectionState}, the connection {connection.connectionState}",
            f"candidates here: {_count(local)}",
            f"there: {_count(remote)}",
        ]
        if not self._described:
            said.append(f"the other side has sent no {self._wanted}")
        if any(url.startswith("turn") for server in self._pairing.ice_servers for url in server.urls):
            if "relay" not in local:
                said.append("the TURN server gave no candidate: its credentials may be wrong or expired, or it is away")
        elif remote and connection.iceConnectionState in ("checking", "failed"):
            said.append("no TURN server is configured, and some networks let nothing else through")
        return "; ".join(said)

    def _candidates(self) -> tuple[list[str], list[str]]:
        transport = self._ice()
        if transport is None:
            return [], []
        local, remote = transport.iceGatherer.getLocalCandidates(), transport.getRemoteCandidates()
        return [one.type for one in local], [one.type for one in remote]

    def _ice(self) -> Any:
        transceivers = [] if self._connection is None else self._connection.getTransceivers()
        return transceivers[0].receiver.transport.transport if transceivers else None

    def _build(self) -> RTCPeerConnection:
        servers = [
            RTCIceServer(urls=list(server.urls), username=server.username, credential=server.credential)
            for server in self._pairing.ice_servers
        ]
        policy = RTCIceTransportPolicy.RELAY if self._pairing.relay_only else RTCIceTransportPolicy.ALL
        connection = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE, iceTransportPolicy=policy)
        )
        for source in SOURCES:
            transceiver = connection.addTransceiver(self.feeds[source], "sendrecv")
            if TrackKind.of(source) is TrackKind.AUDIO:
                # What a feed gives is Opus, so nothing else may be agreed on.
                transceiver.setCodecPreferences(_OPUS)
        self._connecting.adopt(connection)
        self._threads.adopt(connection.getReceivers())
        shorten(connection.getReceivers())
        hush(connection.getSenders())
        self._channel(connection.createDataChannel(RELIABLE, negotiated=True, id=0))
        self._channel(connection.createDataChannel(LOSSY, negotiated=True, id=1, ordered=False, maxRetransmits=0))
        connection.on("connectionstatechange", self._look)
        return connection

    def _channel(self, channel: Any) -> None:
        label = channel.label
        self._channels[label] = channel
        channel.on("open", self._look)
        channel.on("close", lambda: self._lose(f"the data channel {label} was closed"))
        channel.on("message", lambda message: self._hear(message, label))

    def _hear(self, message: bytes | str, label: str) -> None:
        if not self._over:
            self._owner.peer_hears(message, label)

    def _look(self) -> None:
        connection = self._connection
        if connection is None or self._over:
            return
        state = connection.connectionState
        if state in ("failed", "closed"):
            self._lose(f"the connection is {state}" if self.is_up else self.why_not_up())
        elif (
            not self.is_up
            and state == "connected"
            and all(channel.readyState == "open" for channel in self._channels.values())
        ):
            self.is_up = True
            self._owner.peer_is_up(self)

    def _lose(self, why: str) -> None:
        if not self._over:
            self.stop()
            self._owner.peer_is_lost(self, why)

    async def _negotiate(self) -> None:
        try:
            # Inside the task that gathers: what a scope begins has no context of whoever began it.
            with loopback(self._settings.loopback), self._gathering.watched():
                await self._agree()
        except Exception as error:  # noqa: BLE001  # aiortc raises anything for a bad description
            self._failed(error)
        finally:
            self._negotiated.set()

    def _failed(self, error: Exception) -> None:
        if not self._over:
            log.info("the negotiation of generation %s failed: %r", self.generation, error)
            self._lose(f"the negotiation failed: {error}")

    async def _agree(self) -> None:
        if self._over:
            return
        connection = self._connection = self._build()
        if self._pairing.role == "offerer":
            await connection.setLocalDescription(await connection.createOffer())
            self._describe("offer")
        else:
            # While the other side does: a server that is silent is not waited for twice, one after the other.
            await self._ice().iceGatherer.gather()
        async for message in self.inbox:
            if isinstance(message, Description):
                await self._take(connection, message)
            else:
                await self._take_candidate(connection, message)

    async def _take(self, connection: RTCPeerConnection, message: Description) -> None:
        if message.kind != self._wanted or self._described:
            # Twice, or against its role: the first description counts.
            log.info("a second or unasked %s of generation %s is passed over", message.kind, self.generation)
            return
        self._described = True
        check_sdp(message.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(message.sdp, message.kind))
        for source, receiver in zip(SOURCES, connection.getReceivers(), strict=True):
            if receiver.track is None:
                raise InvalidInput(f"the other side's section for {source.value} sends nothing")
            self._scope.start(self._drain, source, receiver.track, name=f"drain:{source.value}")
        if self._wanted == "offer":
            await connection.setLocalDescription(await connection.createAnswer())
            self._describe("answer")

    async def _take_candidate(self, connection: RTCPeerConnection, message: Candidate) -> None:
        if not self._described:
            raise InvalidInput("a candidate came before the description that it belongs to")
        if not message.candidate:
            await connection.addIceCandidate(None)
            return
        check_candidate(message.candidate)
        candidate = candidate_from_sdp(message.candidate.removeprefix("candidate:"))
        # All sections are bundled, so whatever section it names, it is the first one's.
        candidate.sdpMid, candidate.sdpMLineIndex = connection.getTransceivers()[0].mid, 0
        await connection.addIceCandidate(candidate)

    def _describe(self, kind: Any) -> None:
        if not self._over and self._connection is not None:
            sdp = self._connection.localDescription.sdp
            self._owner.peer_says(Description(generation=self.generation, kind=kind, sdp=sdp))

    async def _drain(self, source: TrackSource, track: Any) -> None:
        """Read every frame, wanted or not: what nobody reads would pile up in aiortc."""
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if not self._over:
                self._owner.peer_gives(source, frame)

    async def _close(self) -> None:
        self.stop()
        self.inbox.close()
        connection = self._connection
        if connection is not None:
            ice = self._ice()
            self._gathering.stop()
            await self._connecting.stop()
            await connection.close()
            # A gathering under way asks nobody any more, and is waited for: the sockets that it is opening, which a
            # cancellation would leave, are closed by the next line.
            await self._negotiated.wait()
            await ice.iceGatherer._connection.close()
            await self._threads.join()
        self._connection = None
        self._channels.clear()
        await self._scope.aclose()


def _count(kinds: Iterable[str]) -> str:
    counted = Counter(kinds)
    return ", ".join(f"{number} {kind}" for kind, number in sorted(counted.items())) or "none"
