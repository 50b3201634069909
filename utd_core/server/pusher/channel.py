"""A channel on one node: the sockets that follow it, and handing a frame to all of them."""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf

import anyio

from ...bus import Listener, MessageBus
from ...concurrency import Clock, TaskScope
from ..projects import HostedEngine
from .frames import Frame
from .names import ChannelKind
from .peers import Peers
from .presence import Members
from .roster import MARK, Roster
from .settings import PusherSettings
from .socket import Socket

AT_ONCE = 1_024
"""Sockets that get a frame before anybody else has a turn on the event loop."""


@dataclass(slots=True, eq=False)
class Surroundings:
    """What the channels of a project on one node share.

    `node`: what the hub is called among the nodes, `peers` are its like there; `on_return` is called when one that was
    given up is back. `delivered` counts frames that were handed to sockets.
    """

    app_id: str
    engine: HostedEngine
    bus: MessageBus
    scope: TaskScope
    settings: PusherSettings
    on_unused: Callable[[Channel], None]
    on_return: Callable[[], None]
    peers: Peers = field(default_factory=Peers)
    node: str = field(default_factory=lambda: secrets.token_hex(6))
    delivered: int = 0

    @property
    def clock(self) -> Clock:
        return self.engine.clock

    def heard(self, node: str) -> None:
        """A node has said something."""
        if node != self.node and self.peers.heard(node, self.clock.monotonic()):
            self.on_return()

    def topic(self, channel: str) -> str:
        """Where the nodes tell each other what is said on a channel."""
        return topic_of(self.app_id, channel)


class Place:
    """A socket's place in a channel.

    `user_id`: as whom it is there, where that is known. `good_until`: when that has to be shown anew, in seconds since
    the Unix epoch. `is_held`: it was not given up yet.
    """

    __slots__ = ("channel", "good_until", "is_held", "outbox", "socket", "user_id")

    def __init__(self, channel: Channel, socket: Socket, user_id: str | None = None, good_until: float = inf) -> None:
        self.channel = channel
        self.socket = socket
        self.outbox = socket.outbox
        self.user_id = user_id
        self.good_until = good_until
        self.is_held = False


class Channel(ABC):
    """Somewhere that frames go. `joining` counts those who are on their way in."""

    def __init__(self, name: str, kind: ChannelKind, around: Surroundings) -> None:
        self.name = name
        self.kind = kind
        self.places: dict[Socket, Place] = {}
        self.joining = 0
        self._around = around
        self._opening = asyncio.Lock()
        self._opened = False

    @property
    def is_used(self) -> bool:
        return bool(self.places or self.joining)

    @property
    def members(self) -> Members | None:
        """Who is here, in a presence channel."""
        return None

    async def ready(self) -> None:
        """Be ready for places. Raises what stands in the way; then the next one who comes tries again."""
        if not self._opened:
            async with self._opening:
                if not self._opened:
                    await self._open()
                    self._opened = True

    def leave(self, place: Place) -> None:
        """Give a place up; nothing of the channel is sent there after this. Idempotent."""
        if place.is_held:
            place.is_held = False
            del self.places[place.socket]
            del place.socket.places[self.name]
            self._left(place)
            if not self.is_used:
                self._around.on_unused(self)

    async def hand_out(self, frame: Frame, skip: str = "") -> None:
        """Send a frame to every socket but the one with the id `skip`; to all, even if the caller is cancelled."""
        places = list(self.places.values())
        self._around.delivered += len(places)
        if len(places) <= AT_ONCE:
            _send(frame, places, skip)
            return
        with anyio.CancelScope(shield=True):
            for begin in range(0, len(places), AT_ONCE):
                _send(frame, places[begin : begin + AT_ONCE], skip)
                await asyncio.sleep(0)

    @abstractmethod
    def close(self) -> None:
        """Hear nothing any more. Idempotent."""

    @abstractmethod
    async def _open(self) -> None: ...

    def _take(self, place: Place) -> None:
        place.is_held = True
        self.places[place.socket] = place
        place.socket.places[self.name] = place

    @abstractmethod
    def _left(self, place: Place) -> None:
        """Somebody has left."""


class Talk:
    """What is said on a channel by the application and by clients, from whichever node; and by nodes of its members."""

    __slots__ = ("_around", "_channel", "_listener", "_roster")

    def __init__(self, channel: Channel, around: Surroundings, roster: Roster | None = None) -> None:
        self._channel = channel
        self._around = around
        self._roster = roster
        self._listener: Listener | None = None

    async def open(self) -> None:
        """Listen. Idempotent. Raises `Closed` or `Unavailable`."""
        if self._listener is None:
            topic = self._around.topic(self._channel.name)
            self._listener = await self._around.bus.subscribe(topic, self._hear, interrupted=self._interrupted)

    def close(self) -> None:
        """Idempotent."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._around.bus.unsubscribe(listener)

    async def _hear(self, message: bytes) -> None:
        if self._roster is not None and message.startswith(MARK):
            self._around.heard(self._roster.hear(message))
            return
        skip, _, text = message.decode().partition("\n")
        await self._channel.hand_out(Frame(text), skip)

    async def _interrupted(self) -> None:
        """What was said is lost, as it would be on the way to a client; who is here can be asked."""
        if self._roster is not None:
            self._roster.compare()


def topic_of(app_id: str, channel: str) -> str:
    """Where the nodes tell each other what is said on a channel."""
    return f"{app_id}/{channel}"


def as_message(frame: Frame, skip: str) -> bytes:
    """A frame as it travels from node to node; `skip` is the id of the socket that is not sent it, or empty."""
    return f"{skip}\n{frame.text}".encode()


def _send(frame: Frame, places: Iterable[Place], skip: str) -> None:
    for place in places:
        # Others may have had a turn since these places were looked up: some may have left, and come back to another.
        if place.is_held and (not skip or place.socket.id != skip):
            place.outbox.push(frame)
