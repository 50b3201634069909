"""A connected participant as a test sees it: what it was told, and what it hears."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Self, TypeVar

from ...concurrency import QueueStatistics
from ...errors import NotFound
from ...media.backend import FrameReader, LocalTrack, MediaConnection, PublishOptions
from ...media.events import MediaEvent, StateChanged, TrackInfo, TrackKind, TrackPublished, TrackSubscribed
from ...media.frames import AudioFrame, Frame, VideoFrame
from ...model.permission import TrackSource
from . import signals
from .patience import Patience

E = TypeVar("E")

_RECENT_FRAMES = 10
_HEARD = 0.6
"""Share of the energy at its frequency from which a tone counts as heard."""


class Collector:
    """The frames that came out of one stream so far. `ended`: it came to its end; `error`: how, if badly."""

    def __init__(self, patience: Patience, stream: AsyncIterator[Frame]) -> None:
        self.frames: list[Frame] = []
        self.arrivals: list[float] = []
        self.ended = False
        self.error: Exception | None = None
        self._patience = patience
        self._stream = stream

    async def collect(self) -> None:
        """Read to the end; run by the harness."""
        try:
            async for frame in self._stream:
                self.frames.append(frame)
                self.arrivals.append(self._patience.clock.monotonic())
        except Exception as error:  # noqa: BLE001  # how it ended is for the test to judge
            self.error = error
        finally:
            self.ended = True

    @property
    def audio(self) -> list[AudioFrame]:
        return signals.audio(self.frames)

    @property
    def video(self) -> list[VideoFrame]:
        return signals.video(self.frames)

    async def hears(self, frequency: float) -> None:
        """Wait until a tone of `frequency` Hz arrives, in frames that come from now on."""
        start = len(self.frames)

        def heard() -> bool:
            recent = self.audio[start:][-_RECENT_FRAMES:]
            return signals.loud_seconds(recent) > 0 and signals.pitch_share(recent, frequency) > _HEARD

        await self._patience.eventually(heard, what=f"a tone of {frequency} Hz")

    async def silence(self) -> None:
        """Wait until what is under way has arrived; nothing loud may come after that."""
        await self._patience.settle()
        start = len(self.frames)
        await self._patience.settle()
        loud = signals.loud_seconds(self.audio[start:])
        assert loud == 0, f"{loud} s of sound arrived that should not"

    async def end(self) -> None:
        """Wait for the end of the reader, which must be a clean one."""
        await self._patience.eventually(lambda: self.ended, what="the end of the reader")
        if self.error is not None:
            raise AssertionError(f"the reader ended with {self.error!r} instead of simply ending")


class Listener(Collector):
    """What one `reader` of a track gives."""

    def __init__(self, patience: Patience, reader: FrameReader[Frame]) -> None:
        super().__init__(patience, reader)
        self.reader = reader

    @classmethod
    def of(cls, patience: Patience, reader: FrameReader[Frame]) -> Self:
        """Listen in the background, until the reader or the test ends."""
        listener = cls(patience, reader)
        patience.background(listener.collect, name="listener")
        return listener

    def statistics(self) -> QueueStatistics:
        return self.reader.statistics()


class Peer:
    """A connection whose events are read at once and kept in `log`."""

    def __init__(
        self,
        patience: Patience,
        connection: MediaConnection,
        observe: Callable[[MediaConnection, Any], None] | None = None,
    ) -> None:
        self.connection = connection
        self.identity = connection.identity
        self.log: list[MediaEvent] = []
        self.ended = False
        self.error: Exception | None = None
        self._patience = patience
        self._observe = observe

    async def read_events(self) -> None:
        """Write down every event until the stream ends; run by the harness."""
        try:
            async for event in self.connection.events:
                if self._observe is not None:
                    self._observe(self.connection, event)
                self.log.append(event)
        except Exception as error:  # noqa: BLE001  # how it ended is for the test to judge
            self.error = error
        finally:
            self.ended = True

    def told(self, kind: type[E], where: Callable[[E], bool] = lambda _: True, **fields: Any) -> list[E]:
        """The events of a kind so far whose fields have these values; `track` may be given by its id."""
        return [event for event in self.log if isinstance(event, kind) and _has(event, fields) and where(event)]

    async def expect(
        self,
        kind: type[E],
        where: Callable[[E], bool] = lambda _: True,
        *,
        count: int = 1,
        timeout: float | None = None,
        **fields: Any,
    ) -> E:
        """The `count`-th such event, waiting for it."""

        def enough() -> list[E]:
            found = self.told(kind, where, **fields)
            return found if len(found) >= count else []

        wanted = f"{kind.__name__}({', '.join(f'{name}={value!r}' for name, value in fields.items())})"
        try:
            return (await self._patience.eventually(enough, timeout))[count - 1]
        except AssertionError:
            log = "\n  ".join(map(repr, self.log)) or "nothing"
            raise AssertionError(
                f"{self.identity} was not told {wanted} {count} time(s); it was told\n  {log}"
            ) from None

    async def end(self) -> StateChanged:
        """Wait for the clean end of the event stream; the StateChanged that came last."""
        await self._patience.eventually(lambda: self.ended, what=f"the end of the events of {self.identity}")
        assert self.error is None, f"the events of {self.identity} ended with {self.error!r}"
        assert self.log, f"the events of {self.identity} ended without a word"
        last = self.log[-1]
        assert isinstance(last, StateChanged), f"the last event is {last!r}, not a StateChanged"
        return last

    async def publish(self, source: TrackSource = TrackSource.MICROPHONE, **options: Any) -> LocalTrack:
        """Publish a track; pictures are small unless `options` say otherwise."""
        if TrackKind.of(source) is TrackKind.VIDEO:
            options = {"width": 160, "height": 120, **options}
        return await self._patience.within(self.connection.publish(PublishOptions(source, **options)))

    async def sees(self, other: Peer, source: TrackSource = TrackSource.MICROPHONE) -> TrackInfo:
        """The other's track of a source, once it is subscribed here (the newest, if there were several)."""
        await self.expect(TrackSubscribed, lambda event: event.track.source is source, identity=other.identity)
        return self.told(TrackSubscribed, lambda event: event.track.source is source, identity=other.identity)[-1].track

    async def announced(self, other: Peer, source: TrackSource = TrackSource.MICROPHONE) -> TrackInfo:
        """The other's track of a source, once it is published."""
        return (
            await self.expect(TrackPublished, lambda event: event.track.source is source, identity=other.identity)
        ).track

    async def listens(
        self, other: Peer, source: TrackSource = TrackSource.MICROPHONE, *, capacity: int = 1_000
    ) -> Listener:
        """Collect the frames of the other's track, once it is subscribed."""
        track = await self.sees(other, source)
        return Listener.of(self._patience, self.connection.read(track.id, capacity=capacity))

    def reading(self, track_id: str) -> Listener | None:
        """Collect a track's frames; None while it cannot be read."""
        try:
            return Listener.of(self._patience, self.connection.read(track_id))
        except NotFound:
            return None

    def knows(self, identity: str) -> tuple[TrackInfo, ...] | None:
        """The tracks of another participant as this connection has them; None when it is not here."""
        info = self.connection.participants.get(identity)
        return None if info is None else info.tracks


def _has(event: object, fields: dict[str, Any]) -> bool:
    for name, wanted in fields.items():
        value = getattr(event, name)
        if isinstance(value, TrackInfo) and isinstance(wanted, str):
            value = value.id
        if value != wanted:
            return False
    return True
