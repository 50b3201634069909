"""The channels of a project on one node: made when somebody comes, forgotten when nobody is left.

A channel of the engine is kept at hand for a while: whoever lost the connection comes back in a moment, and then what
was missed is still here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from ...bus import MessageBus
from ...concurrency import TaskScope
from ..projects import HostedEngine
from .app_channel import AppChannel
from .channel import Channel, Surroundings
from .engine_channel import EngineChannel
from .names import ChannelKind
from .roster import Roster
from .settings import PusherSettings


class Registry:
    """Look-up of channels by name."""

    def __init__(
        self, app_id: str, engine: HostedEngine, bus: MessageBus, scope: TaskScope, settings: PusherSettings
    ) -> None:
        self.around = Surroundings(app_id, engine, bus, scope, settings, self._unused, self.compare)
        self._channels: dict[str, Channel] = {}
        # Since when nobody is there, the longest empty first.
        self._idle: OrderedDict[EngineChannel, float] = OrderedDict()

    @contextmanager
    def app_channel(self, name: str, kind: ChannelKind) -> Iterator[AppChannel]:
        """A channel of the application, which is there as long as somebody is inside, or has a place."""
        channel = self._channels.get(name)
        if not isinstance(channel, AppChannel):
            channel = self._channels[name] = AppChannel(name, kind, self.around)
        with self._entering(channel):
            yield channel

    @contextmanager
    def engine_channel(self, name: str, kind: ChannelKind) -> Iterator[EngineChannel]:
        """The same for one of the engine's."""
        channel = self._channels.get(name)
        if not isinstance(channel, EngineChannel):
            channel = self._channels[name] = EngineChannel(name, kind, self.around)
        with self._entering(channel):
            yield channel

    def get(self, name: str) -> Channel | None:
        """The channel, None where nobody is there."""
        channel = self._channels.get(name)
        return channel if channel is not None and channel.places else None

    def __iter__(self) -> Iterator[Channel]:
        """Channels with somebody in them."""
        return (channel for channel in list(self._channels.values()) if channel.places)

    @property
    def is_empty(self) -> bool:
        return not self._channels

    @property
    def has_members(self) -> bool:
        """Whether somebody is in a presence channel here."""
        return any(channel.members is not None for channel in self)

    def compare(self) -> None:
        """Have each presence channel ask anew who is elsewhere."""
        for roster in self._rosters():
            roster.compare()

    def lose(self, node: str) -> None:
        """Another node is gone, with everybody who was there."""
        for roster in self._rosters():
            roster.lose(node)

    def _rosters(self) -> list[Roster]:
        return [
            channel.roster
            for channel in self._channels.values()
            if isinstance(channel, AppChannel) and channel.roster is not None
        ]

    def forget_idle(self, now: float) -> None:
        """Let go of the engine's channels that nobody has followed for a while (`now`: monotonic seconds)."""
        while self._idle:
            channel, since = next(iter(self._idle.items()))
            if since + self.around.settings.linger > now:
                return
            self._forget(channel)

    def close(self) -> None:
        """Let go of all."""
        for channel in list(self._channels.values()):
            self._forget(channel)

    @contextmanager
    def _entering(self, channel: Channel) -> Iterator[None]:
        channel.joining += 1
        if isinstance(channel, EngineChannel):
            self._idle.pop(channel, None)
        try:
            yield
        finally:
            channel.joining -= 1
            if not channel.is_used:
                self._unused(channel)

    def _unused(self, channel: Channel) -> None:
        if isinstance(channel, EngineChannel) and channel.is_live:
            self._idle[channel] = self.around.engine.clock.monotonic()
        else:
            self._forget(channel)

    def _forget(self, channel: Channel) -> None:
        if self._channels.get(channel.name) is channel:
            del self._channels[channel.name]
        if isinstance(channel, EngineChannel):
            self._idle.pop(channel, None)
        channel.close()
