"""The server's inside, as plain frozen values for tests and tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from utd_core.media.events import TrackInfo
from utd_core.media.quality import VideoQuality
from utd_core.model.permission import Grant


@dataclass(frozen=True, slots=True)
class LayerSnapshot:
    """One size of a video, pixels. `frames`: how many pictures of this size were made."""

    width: int
    height: int
    frames: int


@dataclass(frozen=True, slots=True)
class TrackSnapshot:
    """A published track as the server has it. `dropped`: frames written while muted or reconnecting.

    `layers`: largest first; one without simulcast, none for audio.
    """

    info: TrackInfo
    frames: int
    bytes: int
    dropped: int
    subscribers: tuple[str, ...]
    layers: tuple[LayerSnapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class SubscriptionSnapshot:
    """One track on its way to one participant, in frames.

    `delivered` reached the client, `lost` did not, `withheld` were not sent because nobody reads them (adaptive
    stream). `quality`: what the participant wishes of it.
    """

    track_id: str
    publisher: str
    delivered: int
    lost: int
    withheld: int
    readers: int
    quality: VideoQuality


@dataclass(frozen=True, slots=True)
class ParticipantSnapshot:
    """`reachable` is False while a fault keeps the signal connection down."""

    identity: str
    name: str
    grant: Grant
    joined_at: float
    reachable: bool
    tracks: tuple[TrackSnapshot, ...]
    subscriptions: Mapping[str, SubscriptionSnapshot]


@dataclass(frozen=True, slots=True)
class RoomSnapshot:
    name: str
    max_participants: int | None
    participants: Mapping[str, ParticipantSnapshot]


@dataclass(frozen=True, slots=True)
class ControlCall:
    """One call of the control half. `error`: name of the exception's class, None when it went well."""

    at: float
    method: str
    room: str | None = None
    identity: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
