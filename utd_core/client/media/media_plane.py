"""The media connection as the client sees it: failures in this package's words, and people instead of connections.

Where one identity may be in a room on many devices, each device is a connection of its own, and the media backend knows
it as `identity#device`. Here they are one participant again: it joins with its first device and leaves with its last,
has the tracks of all of them, and data for it goes to each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ...concurrency import Overflow, QueueStatistics
from ...errors import MediaError, UTDStreamException
from ...media.backend import ConnectionStatistics, FrameReader, LocalTrack, MediaConnection, PublishOptions
from ...media.events import (
    ConnectionQuality,
    ConnectionState,
    DataReceived,
    MediaEvent,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    QualityChanged,
    Speaker,
    SpeakersChanged,
    TrackInfo,
    TrackMuted,
    TrackPublished,
    TrackSubscribed,
    TrackUnmuted,
    TrackUnpublished,
    TrackUnsubscribed,
)
from ...media.frames import Frame
from ...media.quality import VideoQuality
from ...model.identifiers import split_media_identity
from ...model.permission import Grant


@contextmanager
def own_errors(backend: str, doing: str) -> Iterator[None]:
    """Turn what a backend raises beside this package's errors into a `MediaError` that names both."""
    try:
        yield
    except UTDStreamException:
        raise
    except Exception as error:
        raise MediaError(
            f"media backend {backend!r} failed at {doing}: {type(error).__name__}: {error}; tell its author",
            details={"backend": backend, "method": doing},
        ) from error


class MediaPlane:
    """One connection. Methods are those of `MediaConnection`, and raise what those say, and `MediaError`."""

    def __init__(self, connection: MediaConnection, backend: str, *, many_devices: bool = False) -> None:
        self._connection = connection
        self._backend = backend
        self._people = _Devices(connection) if many_devices else _People(connection)

    @property
    def identity(self) -> str:
        return self._people.person(self._connection.identity)

    @property
    def state(self) -> ConnectionState:
        return self._connection.state

    @property
    def grant(self) -> Grant:
        return self._connection.grant

    @property
    def participants(self) -> Mapping[str, ParticipantInfo]:
        """The others by identity."""
        return self._people.participants

    @property
    def local_participant(self) -> ParticipantInfo:
        """This participant itself."""
        return self._people.own(self._connection.local_participant)

    @property
    def native(self) -> Any:
        return self._connection.native

    async def burst(self) -> list[MediaEvent] | None:
        """Wait for the next event; it and those that have come with it, in order. None after the last one."""
        queue = self._connection.events
        try:
            event = await anext(aiter(queue))
        except StopAsyncIteration:
            return None
        events = self._people.translate(event)
        while (following := queue.get_nowait()) is not None:
            events += self._people.translate(following)
        return events

    async def publish(self, options: PublishOptions) -> LocalTrack:
        with own_errors(self._backend, "publish"):
            return _Track(await self._connection.publish(options), self._backend)

    async def set_subscribed(self, track_id: str, subscribed: bool) -> None:
        with own_errors(self._backend, "set_subscribed"):
            await self._connection.set_subscribed(track_id, subscribed)

    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        with own_errors(self._backend, "set_quality"):
            await self._connection.set_quality(track_id, quality)

    def read(self, track_id: str, *, capacity: int, overflow: Overflow) -> FrameReader[Any]:
        with own_errors(self._backend, "read"):
            return _Reader(self._connection.read(track_id, capacity=capacity, overflow=overflow), self._backend)

    async def send_data(self, payload: bytes, *, to: Collection[str] | None, topic: str, reliable: bool) -> None:
        media_identities = None if to is None else self._people.connections(to)
        with own_errors(self._backend, "send_data"):
            await self._connection.send_data(payload, to=media_identities, topic=topic, reliable=reliable)

    async def statistics(self) -> ConnectionStatistics:
        with own_errors(self._backend, "statistics"):
            return await self._connection.statistics()

    async def aclose(self) -> None:
        with own_errors(self._backend, "aclose"):
            await self._connection.aclose()


class _People:
    """Everybody is there once, under the own identity."""

    def __init__(self, connection: MediaConnection) -> None:
        self._connection = connection

    @property
    def participants(self) -> Mapping[str, ParticipantInfo]:
        return self._connection.participants

    def own(self, info: ParticipantInfo) -> ParticipantInfo:
        """This participant itself, as a person."""
        return info

    def person(self, media_identity: str) -> str:
        return media_identity

    def connections(self, identities: Collection[str]) -> Collection[str]:
        """The media identities of these people."""
        return identities

    def translate(self, event: MediaEvent) -> list[MediaEvent]:
        """What an event of the backend means for people."""
        return [event]


class _Devices(_People):
    """Everybody is there once for each device, under `identity#device`."""

    def __init__(self, connection: MediaConnection) -> None:
        super().__init__(connection)
        # As the events have told it; `participants` of the connection may be ahead of them.
        self._told: dict[str, set[str]] = {}
        self._qualities: dict[str, dict[str, ConnectionQuality]] = {}
        self._profiles: dict[str, _Profile] = {}
        for media_identity in connection.participants:
            self._enter(media_identity)

    @property
    def participants(self) -> Mapping[str, ParticipantInfo]:
        people: dict[str, ParticipantInfo] = {}
        for media_identity, info in self._connection.participants.items():
            identity, device = split_media_identity(media_identity)
            known = people.get(identity)
            if known is None:
                people[identity] = replace(info, identity=identity, devices=(device,))
            else:
                people[identity] = replace(
                    known, devices=(*known.devices, device), tracks=(*known.tracks, *info.tracks)
                )
        return people

    def own(self, info: ParticipantInfo) -> ParticipantInfo:
        identity, device = split_media_identity(info.identity)
        return replace(info, identity=identity, devices=(device,))

    def person(self, media_identity: str) -> str:
        return split_media_identity(media_identity)[0]

    def connections(self, identities: Collection[str]) -> Collection[str]:
        wanted = frozenset(identities)
        return [each for each in self._connection.participants if self.person(each) in wanted]

    def translate(self, event: MediaEvent) -> list[MediaEvent]:
        match event:
            case ParticipantJoined(participant):
                identity, device = split_media_identity(participant.identity)
                is_first = self._enter(participant.identity)
                return (
                    [ParticipantJoined(replace(participant, identity=identity, devices=(device,)))] if is_first else []
                )
            case ParticipantLeft(media_identity):
                if not self._leave(media_identity):
                    return []
                return [replace(event, identity=self.person(media_identity))]
            case (
                TrackPublished(media_identity)
                | TrackUnpublished(media_identity)
                | TrackSubscribed(media_identity)
                | TrackUnsubscribed(media_identity)
                | TrackMuted(media_identity)
                | TrackUnmuted(media_identity)
            ):
                return [replace(event, identity=self.person(media_identity))]
            case ParticipantUpdated(participant):
                return self._describe(self.own(participant))
            case SpeakersChanged(speakers):
                return [SpeakersChanged(self._persons(speakers))]
            case QualityChanged(media_identity, quality):
                return self._rate(*split_media_identity(media_identity), quality)
            case DataReceived(sender=str(sender)):
                return [replace(event, sender=self.person(sender))]
            case _:
                return [event]

    def _enter(self, media_identity: str) -> bool:
        """A device has come; whether it is its person's first."""
        identity, device = split_media_identity(media_identity)
        devices = self._told.setdefault(identity, set())
        devices.add(device)
        return len(devices) == 1

    def _leave(self, media_identity: str) -> bool:
        """A device is gone; whether it was its person's last."""
        identity, device = split_media_identity(media_identity)
        devices = self._told.get(identity, set())
        devices.discard(device)
        self._qualities.get(identity, {}).pop(device, None)
        if not devices:
            for known in (self._told, self._qualities, self._profiles):
                known.pop(identity, None)
        return not devices

    def _describe(self, person: ParticipantInfo) -> list[MediaEvent]:
        """All devices of a person are described alike, which is told once."""
        profile = (person.name, person.metadata, person.attributes)
        if self._profiles.get(person.identity) == profile:
            return []
        self._profiles[person.identity] = profile
        return [ParticipantUpdated(person)]

    def _persons(self, speakers: tuple[Speaker, ...]) -> tuple[Speaker, ...]:
        """Each person once, as loud as the loudest of its devices."""
        people: dict[str, Speaker] = {}
        for speaker in speakers:
            identity = self.person(speaker.identity)
            people.setdefault(identity, Speaker(identity, speaker.level))
        return tuple(people.values())

    def _rate(self, identity: str, device: str, quality: ConnectionQuality) -> list[MediaEvent]:
        """A person is connected as well as the best of its devices."""
        of_devices = self._qualities.setdefault(identity, {})
        before = _best(of_devices)
        of_devices[device] = quality
        now = _best(of_devices)
        return [] if now is before or now is None else [QualityChanged(identity, now)]


_Profile = tuple[str, str, Mapping[str, str]]
_FROM_BEST = tuple(ConnectionQuality)


def _best(of_devices: Mapping[str, ConnectionQuality]) -> ConnectionQuality | None:
    return min(of_devices.values(), key=_FROM_BEST.index, default=None)


class _Track(LocalTrack):
    """A published track."""

    def __init__(self, track: LocalTrack, backend: str) -> None:
        self._track = track
        self._backend = backend

    @property
    def info(self) -> TrackInfo:
        return self._track.info

    async def write(self, frame: Frame) -> None:
        # What this raises is told by whoever pumps, together with what the source raises.
        await self._track.write(frame)

    async def set_muted(self, muted: bool) -> None:
        with own_errors(self._backend, "set_muted"):
            await self._track.set_muted(muted)

    async def unpublish(self) -> None:
        with own_errors(self._backend, "unpublish"):
            await self._track.unpublish()


class _Reader(FrameReader[Frame]):
    """A reader of a remote track."""

    def __init__(self, reader: FrameReader[Frame], backend: str) -> None:
        self._reader = reader
        self._backend = backend

    @property
    def track(self) -> TrackInfo:
        return self._reader.track

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        try:
            return await anext(self._reader)
        except (StopAsyncIteration, UTDStreamException):
            raise
        except Exception:
            with own_errors(self._backend, "read"):
                raise

    def statistics(self) -> QueueStatistics:
        return self._reader.statistics()

    async def aclose(self) -> None:
        with own_errors(self._backend, "aclose of a reader"):
            await self._reader.aclose()
