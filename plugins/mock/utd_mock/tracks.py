"""Tracks inside the server, and their way to each subscriber: the hot path of the mock.

A published frame walks a ready-made tuple of functions, one per subscriber, and each of those hands the same
frame object to the readers. The layers of a simulcast track stand in between, as outlets with outlets of their own.
Everything that decides the way (mute, faults, adaptive stream, quality) is decided once after it changed, never per
frame; and not before the next frame, as a thousand subscribers come one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from utd_core.concurrency import BoundedQueue
from utd_core.media.backend import PublishOptions
from utd_core.media.events import TrackInfo, TrackKind
from utd_core.media.frames import Frame
from utd_core.media.quality import VideoQuality
from utd_core.model.permission import TrackSource

from .layers import Layer, Simulcast
from .snapshots import LayerSnapshot, SubscriptionSnapshot, TrackSnapshot

if TYPE_CHECKING:
    from .link import Link
    from .rooms import Participant


class PublishedTrack:
    """A track as the server holds it. `outlets` and `flowing` are all that the publisher's `write` looks at."""

    __slots__ = (
        "_away",
        "_ear",
        "_ended",
        "_outlets",
        "_simulcast",
        "bytes",
        "dropped",
        "flowing",
        "frames",
        "info",
        "options",
        "owner",
        "subscriptions",
    )

    def __init__(self, track_id: str, owner: Participant, options: PublishOptions) -> None:
        self.info = TrackInfo(track_id, options.source, name=options.name)
        self.owner = owner
        self.options = options
        self.subscriptions: dict[str, Subscription] = {}
        self._outlets: tuple[Callable[[Frame], None], ...] | None = None
        self.flowing = True
        self.frames = self.bytes = self.dropped = 0
        self._away = False
        self._ended = False
        self._ear: Callable[[Frame], None] | None = None
        if options.source is TrackSource.MICROPHONE:
            self._ear = owner.room.ears.microphone(owner.identity)
        self._simulcast: Simulcast | None = None
        if options.simulcast and self.is_video:
            self._simulcast = Simulcast(options, dynacast=owner.options.dynacast)

    @property
    def is_video(self) -> bool:
        return self.info.kind is TrackKind.VIDEO

    @property
    def is_away(self) -> bool:
        """Its publisher is reconnecting: for everybody else the track is not there now."""
        return self._away

    def set_muted(self, muted: bool) -> None:
        self.info = replace(self.info, muted=muted)
        self.refresh()

    def set_away(self, away: bool) -> None:
        self._away = away
        self.refresh()

    def end(self) -> None:
        """No frame flows any more. Idempotent."""
        self._ended = True
        self.subscriptions.clear()
        self.refresh()

    @property
    def outlets(self) -> tuple[Callable[[Frame], None], ...]:
        """Where the next frame goes."""
        if self._outlets is None:
            self._outlets = self._routed()
        return self._outlets

    def reroute(self) -> None:
        """Choose anew how frames reach each subscriber."""
        self._outlets = None

    def _routed(self) -> tuple[Callable[[Frame], None], ...]:
        subscriptions = self.subscriptions.values()
        if self._simulcast is None:
            outlets = [subscription.outlet() for subscription in subscriptions]
            return tuple(outlets if self._ear is None else [self._ear, *outlets])
        takers: dict[Layer, list[Callable[[Frame], None]]] = {}
        outlets = []
        for subscription in subscriptions:
            if subscription.is_served:
                layer = self._simulcast.layer_of(subscription.quality)
                takers.setdefault(layer, []).append(subscription.outlet())
            else:
                outlets.append(subscription.outlet())
        return (*outlets, *self._simulcast.route(takers))

    def refresh(self) -> None:
        """Look anew whether frames flow at all, and where to."""
        self.flowing = not (self._ended or self._away or self.info.muted or self.owner.link.is_cut)
        self.reroute()

    def snapshot(self) -> TrackSnapshot:
        return TrackSnapshot(
            self.info,
            self.frames,
            self.bytes,
            self.dropped,
            tuple(self.subscriptions),
            self._layers() if self.is_video else (),
        )

    def _layers(self) -> tuple[LayerSnapshot, ...]:
        if self._simulcast is None:
            return (LayerSnapshot(self.options.width, self.options.height, self.frames),)
        return tuple(layer.snapshot() for layer in self._simulcast.layers)


class Subscription:
    """One track on its way to one participant. `quality`: the layer that it wishes. `is_readable`: it has the
    key that the frames are encrypted with; without it they come, and no reader gets them."""

    __slots__ = (
        "_adaptive",
        "_inlets",
        "_is_readable",
        "_queues",
        "bytes",
        "delivered",
        "link",
        "lost",
        "quality",
        "track",
        "withheld",
    )

    def __init__(
        self,
        track: PublishedTrack,
        link: Link,
        *,
        adaptive: bool,
        is_readable: bool = True,
        quality: VideoQuality = VideoQuality.HIGH,
    ) -> None:
        self.track = track
        self.link = link
        self.quality = quality
        self.delivered = self.bytes = self.lost = self.withheld = 0
        self._adaptive = adaptive and track.is_video
        self._is_readable = is_readable
        self._queues: list[BoundedQueue[Frame]] = []
        self._inlets: tuple[Callable[[Frame], bool], ...] = ()

    @property
    def info(self) -> TrackInfo:
        return self.track.info

    @property
    def readers(self) -> int:
        return len(self._queues)

    @property
    def is_served(self) -> bool:
        """Frames are sent to it now."""
        return not self.link.is_cut and (not self._adaptive or bool(self._queues))

    def outlet(self) -> Callable[[Frame], None]:
        """What a frame goes through now."""
        if self.link.is_cut:
            return self.lose
        if self._adaptive and not self._queues:
            return self._withhold
        return self.arrive if self.link.is_direct else self._travel

    def arrive(self, frame: Frame) -> None:
        """The frame is with the client; every reader gets it."""
        self.delivered += 1
        self.bytes += len(frame.data)
        for put in self._inlets:
            put(frame)

    def lose(self, _frame: Frame) -> None:
        self.lost += 1

    def set_quality(self, quality: VideoQuality) -> None:
        """Another layer, from the next frame on."""
        self.quality = quality
        self.track.reroute()

    def attach(self, queue: BoundedQueue[Frame]) -> None:
        """A reader begins."""
        self._queues.append(queue)
        self._changed()

    def detach(self, queue: BoundedQueue[Frame]) -> None:
        """A reader ends. Idempotent."""
        if queue in self._queues:
            self._queues.remove(queue)
            self._changed()

    def close(self) -> None:
        """Every reader gets what it has, then the end. Idempotent."""
        queues, self._queues = self._queues, []
        for queue in queues:
            queue.close()
        self._changed()

    def snapshot(self) -> SubscriptionSnapshot:
        return SubscriptionSnapshot(
            self.track.info.id,
            self.track.owner.identity,
            self.delivered,
            self.lost,
            self.withheld,
            len(self._queues),
            self.quality,
        )

    def _changed(self) -> None:
        self._inlets = tuple(queue.put for queue in self._queues) if self._is_readable else ()
        self.track.reroute()

    def _withhold(self, _frame: Frame) -> None:
        self.withheld += 1

    def _travel(self, frame: Frame) -> None:
        self.link.carry(self, frame)
