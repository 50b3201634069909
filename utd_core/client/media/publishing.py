"""What this participant publishes: opened and closed by the application, carried over losses of the connection.

- One thing per source. Operations on one source come one after the other; of two opposite ones the later wins, and the
  earlier is `Superseded` if it had not begun.
- Switching off mutes and keeps the track: a listener's reader goes on, and so does the source's time, as with a real
  microphone. Only `drop` unpublishes.
- What the server side ends (a seat was lost, a moderator muted) is dropped: nobody's microphone opens again by itself.
  But where the room's own rules still grant it, the end came from a permission that was on its way, or from a lost
  connection: then it waits, and is published again with the grant.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import anyio

from ...concurrency import Clock, TaskScope
from ...errors import Closed, ConnectionLost, ErrorCode, Forbidden, PublishRefused, Superseded, UTDStreamException
from ...media.backend import PublishOptions
from ...media.events import GrantChanged, LocalTrackEnded, MediaEvent, TrackInfo
from ...media.options import publish_options
from ...model.permission import Grant, TrackSource
from ..models import PublishingEnded, PublishingEndReason, PublishingStatistics
from .devices import MediaSource, check_media
from .media_plane import MediaPlane
from .publication import Feed, FeedEnd, Publication, close

log = logging.getLogger("utd_core.client")


@dataclass(eq=False, frozen=True, slots=True)
class _Wish:
    """What the application wanted last of a source; a new one is made when it wants the opposite."""

    on: bool


class Publishing:
    """The publications of one room. `announce` is told the sources that are heard or seen after each change, `ended`
    what ended by itself; `is_entitled` says whether the room's rules grant a source, whatever the backend says now.
    `simulcast`: cameras are published in several sizes, unless their own options say otherwise."""

    def __init__(
        self,
        scope: TaskScope,
        clock: Clock,
        *,
        announce: Callable[[frozenset[TrackSource]], object],
        ended: Callable[[PublishingEnded], object],
        is_entitled: Callable[[TrackSource], bool],
        simulcast: bool = False,
    ) -> None:
        self._scope = scope
        self._clock = clock
        self._announce = announce
        self._ended = ended
        self._is_entitled = is_entitled
        self._simulcast = simulcast
        self._connection: MediaPlane | None = None
        self._items: dict[TrackSource, Publication] = {}
        self._turns: defaultdict[TrackSource, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._wishes: dict[TrackSource, _Wish] = {}

    @property
    def tracks(self) -> tuple[TrackInfo, ...]:
        """What is published now."""
        return tuple(item.track.info for item in self._items.values() if item.track is not None)

    def statistics(self) -> dict[TrackSource, PublishingStatistics]:
        """What was played so far of each source that is open now."""
        return {source: item.statistics() for source, item in self._items.items()}

    async def switch_on(
        self,
        source: TrackSource,
        media: MediaSource | None,
        open_media: Callable[[TrackSource], Awaitable[MediaSource]],
        options: PublishOptions | None = None,
    ) -> None:
        """Publish, or unmute what is published. `media` None keeps the present one, or calls `open_media`.

        A given `media` is taken over, and closed, once it is published. Raises `Forbidden` when the grant does not hold
        the source, `Superseded`, `ConnectionLost`, and what `open_media` raises.
        """
        wish = self._wish(source, on=True)
        self._granted(source)
        if media is not None:
            check_media(source, media)
        async with self._turns[source]:
            self._check_latest(source, wish)
            item = self._items.get(source)
            if item is not None and media in (None, item.media) and options is None:
                await self._show(source, item)
                return
            ours = media is None
            chosen = media if media is not None else await open_media(source)
            try:
                self._check_latest(source, wish)
                await self._replace(source, Publication(chosen, self._options(source, chosen, options)))
            except BaseException:
                if ours:
                    with anyio.CancelScope(shield=True):
                        await chosen.aclose()
                raise

    async def switch_off(self, source: TrackSource) -> None:
        """Mute: nothing is sent from now on; returns when the others know. Raises `Superseded`."""
        wish = self._wish(source, on=False)
        async with self._turns[source]:
            self._check_latest(source, wish)
            item = self._items.get(source)
            if item is None or item.muted:
                return
            item.mute(True)
            self._tell()
            if item.track is not None:
                with suppress(Closed, ConnectionLost):
                    await item.track.set_muted(True)

    async def drop(self, source: TrackSource) -> None:
        """Unpublish and close the source."""
        self._wish(source, on=False)
        async with self._turns[source]:
            item = self._items.pop(source, None)
            if item is not None:
                await self._end(item)

    async def drop_all(self) -> None:
        for source in list(self._items):
            await self.drop(source)

    def attach(self, connection: MediaPlane) -> None:
        """There is a connection: what waited for one is published on it."""
        self._connection = connection
        self.granted()

    def detach(self) -> None:
        """The connection is gone, and its tracks with it; what was published waits for the next one."""
        self._connection = None
        for item in self._items.values():
            item.detach(keep=True)
        self._tell()

    def take(self, event: MediaEvent) -> None:
        """Take over an event of the connection."""
        match event:
            case GrantChanged():
                self.granted()
            case LocalTrackEnded(track):
                self.track_ended(track)
            case _:
                pass

    def granted(self) -> None:
        """The grant has changed: publish what waits for it."""
        for source, item in self._items.items():
            if item.track is None and self._holds(source) and self._scope.is_open:
                self._scope.start(self._resume, source, item, name=f"publish {source.value}")

    def track_ended(self, track: TrackInfo) -> None:
        """The server side ended a track of ours."""
        item = self._items.get(track.source)
        if item is None or item.track is None or item.track.info.id != track.id:
            return
        if self._is_entitled(track.source):
            item.detach(keep=True)
            self.granted()
            self._tell()
        else:
            self._revoke(track.source)

    def check_entitlement(self) -> None:
        """The room's rules may have changed: what they no longer grant is dropped."""
        for source in list(self._items):
            if not self._is_entitled(source):
                self._revoke(source)

    async def _show(self, source: TrackSource, item: Publication) -> None:
        """Publish or unmute what is there."""
        if item.track is None:
            item.mute(False)
            await self._publish(source, item)
        elif item.muted:
            try:
                await item.track.set_muted(False)
            except Closed:
                await self._publish(source, item)
            item.mute(False)
        self._tell()

    async def _replace(self, source: TrackSource, item: Publication) -> None:
        older = self._items.get(source)
        await self._publish(source, item)
        self._items[source] = item
        self._tell()
        if older is not None:
            # Publishing has replaced its track already; what is left is its pump and its source.
            older.detach()
            await older.media.aclose()

    async def _publish(self, source: TrackSource, item: Publication) -> None:
        """Have a track, and pump into it. The caller holds the source's turn."""
        connection = self._granted(source)
        # A publish that was cut in the middle would leave a track that nobody holds.
        with anyio.CancelScope(shield=True):
            try:
                track = await connection.publish(item.options)
                if item.muted:
                    await track.set_muted(True)
            except Closed as error:
                raise _lost() from error
        if connection is not self._connection or not self._scope.is_open:
            raise _lost()
        self._scope.start(self._feed, source, item, item.attach(track, self._clock), name=f"feed {source.value}")

    async def _feed(self, source: TrackSource, item: Publication, feed: Feed) -> None:
        end = await feed.run()
        if end in (FeedEnd.STOPPED, FeedEnd.TRACK):
            # Whoever ended it decides what follows; an event about a track that ended is on its way.
            return
        async with self._turns[source]:
            if self._items.get(source) is not item or item.feed is not feed:
                return
            del self._items[source]
            await self._end(item)
        reason = PublishingEndReason.FAILED if end is FeedEnd.FAILED else PublishingEndReason.SOURCE_ENDED
        self._ended(PublishingEnded(source, reason, feed.failure))

    async def _resume(self, source: TrackSource, item: Publication) -> None:
        async with self._turns[source]:
            if self._items.get(source) is not item or item.track is not None or not self._holds(source):
                return
            try:
                await self._publish(source, item)
            except (Forbidden, PublishRefused, ConnectionLost, Closed) as error:
                log.info("publishing %s again waits for a grant or a connection: %s", source.value, error)
            except UTDStreamException as error:
                del self._items[source]
                await self._end(item)
                self._ended(PublishingEnded(source, PublishingEndReason.FAILED, error.message))
            self._tell()

    def _revoke(self, source: TrackSource) -> None:
        item = self._items.pop(source)
        self._wish(source, on=False)
        is_fed = item.feed is not None
        track = item.detach()
        self._tell()
        self._ended(PublishingEnded(source, PublishingEndReason.REVOKED))
        if not is_fed and self._scope.is_open:
            self._scope.start(close, item.media, track, name=f"close {source.value}")

    async def _end(self, item: Publication) -> None:
        track = item.detach()
        self._tell()
        await close(item.media, track)

    def _wish(self, source: TrackSource, *, on: bool) -> _Wish:
        wish = self._wishes.get(source)
        if wish is None or wish.on is not on:
            wish = self._wishes[source] = _Wish(on)
        return wish

    def _check_latest(self, source: TrackSource, wish: _Wish) -> None:
        if self._wishes[source] is not wish:
            raise Superseded(f"given up, because the opposite was called for {source.value}")

    def _holds(self, source: TrackSource) -> bool:
        return self._connection is not None and source in self._connection.grant.publish

    def _granted(self, source: TrackSource) -> MediaPlane:
        if self._connection is None:
            raise ConnectionLost("there is no media connection now; wait until the session is connected")
        grant: Grant = self._connection.grant
        if source not in grant.publish:
            raise Forbidden(
                f"publishing {source.value} is not granted; take a seat, come on stage or ask for it first",
                code=ErrorCode.PUBLISH_REFUSED,
            )
        return self._connection

    def _tell(self) -> None:
        self._announce(
            frozenset(source for source, item in self._items.items() if item.track is not None and not item.muted)
        )

    def _options(self, source: TrackSource, media: MediaSource, options: PublishOptions | None) -> PublishOptions:
        """The application's options, with the source's own shape."""
        shape = publish_options(media, source)
        if options is None:
            return replace(shape, simulcast=True) if self._simulcast and source is TrackSource.CAMERA else shape
        return replace(
            options,
            source=source,
            sample_rate=shape.sample_rate,
            channels=shape.channels,
            width=shape.width,
            height=shape.height,
            framerate=shape.framerate,
        )


def _lost() -> ConnectionLost:
    return ConnectionLost("the connection ended while publishing; try again when there is one")
