"""What an application can count of its own publishing: how well its pace was kept, and what was kept back."""

from __future__ import annotations

import pytest

from utd_core.client import PublishingStatistics, RoomStatistics, UTDAudioRoomSession
from utd_core.concurrency import Clock
from utd_core.media.faults import Fault
from utd_core.media.frames import AudioFrame
from utd_core.media.sources.synthetic import SilenceAudioSource
from utd_core.model.permission import TrackSource

from .world import ROOM, World, now


class Halting(SilenceAudioSource):
    """Its sixth frame takes `pause` seconds to be made."""

    def __init__(self, clock: Clock, pause: float) -> None:
        super().__init__()
        self._clock = clock
        self._pauses = [0.0] * 5 + [pause]

    async def read(self) -> AudioFrame | None:
        if self._pauses:
            await self._clock.sleep(self._pauses.pop(0))
        return await super().read()


async def counted(session: UTDAudioRoomSession) -> PublishingStatistics:
    return (await session.statistics()).published[TrackSource.MICROPHONE]


async def test_frames_are_counted_as_they_are_played(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    assert (await host.statistics()).published == {}
    await world.run(host.take_seat(0))
    await world.clock.advance(1.0)
    assert await counted(host) == PublishingStatistics(frames=51), "one every 20 ms, from the beginning to the end"
    statistics = await host.statistics()
    assert statistics.connection is not None
    assert [track.frames for track in statistics.connection.sent] == [51]
    await world.run(host.leave_seat())
    assert (await host.statistics()).published == {}


async def test_what_is_kept_back_while_muted_is_counted(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.run(host.take_seat(0))
    await world.clock.advance(1.0)
    await host.set_microphone(False)
    await world.clock.advance(0.5)
    await host.set_microphone(True)
    await world.clock.advance(0.5)
    assert await counted(host) == PublishingStatistics(frames=101, muted=25)
    statistics = await host.statistics()
    assert statistics.connection is not None
    assert [track.frames for track in statistics.connection.sent] == [76]


async def test_what_comes_late_is_counted(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.run(host.take_seat(0, microphone=Halting(world.clock, pause=0.07)))
    await world.clock.advance(1.0)
    statistics = await counted(host)
    assert (statistics.frames, statistics.late, statistics.resyncs) == (51, 2, 0)
    assert statistics.max_lateness_ms == pytest.approx(50.0)


async def test_a_pause_too_long_to_catch_up_sets_the_pace_anew(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.run(host.take_seat(0, microphone=Halting(world.clock, pause=0.5)))
    await world.clock.advance(1.0)
    statistics = await counted(host)
    assert (statistics.late, statistics.resyncs) == (1, 1)
    assert statistics.max_lateness_ms == pytest.approx(480.0)


async def test_a_lost_connection_loses_no_count(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.run(host.take_seat(0))
    await world.clock.advance(1.0)
    await world.fault(Fault.SERVER_LEAVE, ROOM, "host")
    await world.until(lambda: now(host.room.publishing) == {TrackSource.MICROPHONE})
    await world.clock.advance(1.0)
    statistics = await host.statistics()
    assert statistics.connection is not None
    (track,) = statistics.connection.sent
    assert track.frames == 51, "the backend counts by track"
    assert (await counted(host)).frames == 51 + 51


async def test_without_a_connection_there_is_nothing_to_count_of_one(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.run(host.leave())
    assert await host.statistics() == RoomStatistics({}, None)
