"""A conforming backend that can do little, and says so."""

from __future__ import annotations

from typing import Any, ClassVar

from utd_core.errors import Unsupported
from utd_core.media.backend import MediaBackend
from utd_core.model.permission import TrackSource

from .covers import BackendCover, ConnectionCover, ControlCover, covered

PARTICIPANTS = 2


def deny(feature: str) -> Unsupported:
    return Unsupported(f"backend 'mock' cannot do this: {feature} is denied by its capabilities")


class ModestControl(ControlCover):
    async def create_room(self, room: str, *, max_participants: int | None = None) -> None:
        await self.inner.create_room(room, max_participants=min(max_participants or PARTICIPANTS, PARTICIPANTS))

    async def mute_track(self, *args: Any) -> None:
        raise deny("server mute")

    async def send_data(self, *args: Any, **options: Any) -> None:
        raise deny("data")

    async def issue_join(self, *args: Any, **more: Any) -> Any:
        if more.get("metadata") or more.get("attributes"):
            raise deny("profiles")
        return await self.inner.issue_join(*args, **more)

    async def update_participant(self, *args: Any, **changes: Any) -> None:
        raise deny("profiles")

    def notifications(self) -> Any:
        raise deny("notifications")


class ModestConnection(ConnectionCover):
    async def publish(self, options: Any) -> Any:
        if options.source is not TrackSource.MICROPHONE:
            raise deny("video" if options.source is TrackSource.CAMERA else "screen-share")
        return await super().publish(options)

    async def send_data(self, *args: Any, **options: Any) -> None:
        raise deny("data")

    async def set_subscribed(self, track_id: str, subscribed: bool) -> None:
        raise deny("selective_subscription")

    async def set_quality(self, *args: Any) -> None:
        raise deny("simulcast")


class ModestBackend(BackendCover):
    covers: ClassVar[Any] = {"control": ModestControl, "connection": ModestConnection}
    faults: ClassVar[Any] = frozenset()

    async def inject(self, *args: Any, **parameters: float) -> None:
        await MediaBackend.inject(self, *args, **parameters)  # type: ignore[arg-type]  # a cover in its place


MODEST = covered(
    ModestBackend,
    video=False,
    screen_share=False,
    data=False,
    server_mute=False,
    notifications=False,
    selective_subscription=False,
    simulcast=False,
    adaptive_stream=False,
    active_speakers=False,
    connection_quality=False,
    profiles=False,
    resumes=False,
    token_expiry=False,
    max_participants=PARTICIPANTS,
)
