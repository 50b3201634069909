"""What every session has: state, participants, events, the microphone, data, leaving and coming again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from utd_core.client import PublishingEnded, UTDSession
from utd_core.errors import Closed, Conflict, Forbidden, InvalidInput, NotFound, Superseded, TooLarge
from utd_core.media.events import DataReceived, ParticipantJoined, TrackMuted, TrackPublished, TrackUnmuted
from utd_core.media.faults import Fault
from utd_core.media.frames import AudioFrame
from utd_core.media.sinks.collect import FrameCollector
from utd_core.media.sources.base import AudioSourceBase
from utd_core.media.sources.push import PushAudioSource
from utd_core.media.sources.synthetic import SilenceAudioSource, ToneAudioSource
from utd_core.model.commands import ClearSeat
from utd_core.model.permission import TrackSource
from utd_core.model.seats import SeatTaken
from utd_core.model.session import SessionState
from utd_core.model.stream_type import UTDStreamType

from .world import ROOM, World, held_by, now

MICROPHONE = frozenset({TrackSource.MICROPHONE})
NOTHING: frozenset[TrackSource] = frozenset()


class BrokenSource(AudioSourceBase):
    """Fails on its third frame."""

    def __init__(self) -> None:
        super().__init__(48_000, 1, 20)
        self.count = 0

    async def read(self) -> AudioFrame | None:
        self.count += 1
        if self.count == 3:
            raise OSError("the cable is loose")
        return self._stamp(bytes(self.frame_bytes))


@pytest.mark.parity("U8")
async def test_the_base_of_every_session(world: World) -> None:
    host = await world.audio_room("host", as_host=True, name="Hanna")
    listener = await world.audio_room("listener", name="Lee")
    assert isinstance(host, UTDSession)
    assert host.type is UTDStreamType.AUDIO_ROOM
    assert now(host.connected)
    assert now(host.state) is SessionState.CONNECTED
    assert not now(host.can_publish)
    await world.settle()
    assert [(other.identity, other.name) for other in now(host.remote_participants)] == [("listener", "Lee")]
    await world.run(host.take_seat(0))
    await world.settle()
    assert now(host.can_publish)
    myself = host.local_participant
    assert myself is not None
    assert [track.source for track in myself.tracks] == [TrackSource.MICROPHONE]
    (other,) = listener.remote_participants.value
    assert [track.source for track in other.tracks] == [TrackSource.MICROPHONE]
    await world.run(host.leave())
    assert host.local_participant is None
    await world.settle()
    assert now(listener.remote_participants) == ()


@pytest.mark.parity("U8")
async def test_events_show_the_media_plane_and_the_engines_facts_to_every_reader(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    readers = [listener.events.reader(), listener.events.reader()]
    await world.run(host.take_seat(3))
    await world.audio_room("late")
    await world.settle()
    await listener.aclose()
    for reader in readers:
        events = [event async for event in reader]
        assert any(isinstance(event, SeatTaken) and event.index == 3 for event in events)
        assert any(isinstance(event, TrackPublished) and event.identity == "host" for event in events)
        assert any(isinstance(event, ParticipantJoined) and event.participant.identity == "late" for event in events)


@pytest.mark.parity("U9")
async def test_the_microphone_is_refused_unless_publishing_was_granted(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    with pytest.raises(Forbidden) as caught:
        await host.set_microphone(True)
    assert caught.value.code == "publish_refused"
    assert caught.value.is_forbidden
    await host.set_microphone(False)


@pytest.mark.parity("U9")
async def test_a_refusal_says_what_stands_in_the_way_now(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    with pytest.raises(Forbidden, match="take a seat"):
        await host.set_microphone(True)
    await world.run(host.take_seat(0))
    await world.run(host.mute_seat(0))
    with pytest.raises(Forbidden, match="a moderator took the microphone"):
        await host.set_microphone(True)
    await world.run(host.lock_seat(0, take=False, audio=True))
    with pytest.raises(Forbidden, match="seat 0 is locked for it"):
        await host.set_microphone(True)


@pytest.mark.parity("U9")
async def test_switching_off_mutes_and_switching_on_goes_on_with_the_same_track(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    await world.run(host.take_seat(0))
    events = listener.events.reader()
    before = world.backend.server.rooms[ROOM].participants["host"].tracks
    await host.set_microphone(False)
    assert now(host.room.publishing) == NOTHING
    await host.set_microphone(False)
    await host.set_microphone(True)
    await host.set_microphone(True)
    assert now(host.room.publishing) == MICROPHONE
    await world.settle()
    seen = []
    while (event := events.get_nowait()) is not None:
        seen.append(type(event))
    assert seen == [TrackMuted, TrackUnmuted]
    after = world.backend.server.rooms[ROOM].participants["host"].tracks
    assert [track.info.id for track in after] == [track.info.id for track in before]


@pytest.mark.parity("U9")
async def test_muting_silences_at_once_although_nobody_can_be_told_yet(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    await world.run(host.take_seat(0))
    await world.settle()
    reader = listener.reader("host")
    await world.fault(Fault.SIGNAL_DROP, ROOM, "host", seconds=5.0)
    muting = asyncio.ensure_future(host.set_microphone(False))
    await world.settle()
    heard = reader.statistics().accepted
    await world.clock.advance(4.0)
    assert not muting.done()
    assert reader.statistics().accepted == heard
    assert now(host.room.publishing) == NOTHING
    await world.run(muting)
    await host.set_microphone(True)
    await world.clock.advance(1.0)
    assert reader.statistics().accepted > heard


@pytest.mark.parity("U9")
async def test_another_source_replaces_what_is_heard(world: World) -> None:
    host = await world.audio_room("host", as_host=True, microphone=SilenceAudioSource)
    listener = await world.audio_room("listener")
    await world.run(host.take_seat(0))
    frames = listener.frames("host")
    silent = await world.run(anext(frames))
    assert isinstance(silent, AudioFrame)
    assert not any(silent.data)
    await host.set_microphone(True, ToneAudioSource(sample_rate=16_000))
    heard = silent
    while not any(heard.data):
        following = await world.run(anext(frames))
        assert isinstance(following, AudioFrame)
        heard = following
    assert heard.sample_rate == 16_000
    await frames.aclose()


@pytest.mark.parity("U9", "U22")
async def test_toggling_twice_fast_ends_with_the_last_wish(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.run(host.take_seat(0))
    for wishes in (
        [True, False],
        [False, True],
        [True, False, True],
        [False, True, False],
        [False, False, True, False],
    ):
        results = await asyncio.gather(*(host.set_microphone(wish) for wish in wishes), return_exceptions=True)
        assert all(result is None or isinstance(result, Superseded) for result in results)
        assert results[-1] is None
        assert (now(host.room.publishing) == MICROPHONE) is wishes[-1]
    await world.settle()
    (track,) = world.backend.server.rooms[ROOM].participants["host"].tracks
    assert track.info.muted


@pytest.mark.parity("U9")
async def test_a_source_that_ends_ends_the_track(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.run(host.take_seat(0, publish=False))
    await world.settle()
    events = host.events.reader()
    source = ToneAudioSource(seconds=0.1)
    await host.set_microphone(True, source)
    await world.clock.advance(0.2)
    assert now(host.room.publishing) == NOTHING
    ended = [event for event in iter(events.get_nowait, None) if isinstance(event, PublishingEnded)]
    assert [(event.source, event.reason) for event in ended] == [(TrackSource.MICROPHONE, "source_ended")]
    with pytest.raises(Closed):
        await source.read()
    await host.set_microphone(True)
    assert now(host.room.publishing) == MICROPHONE


@pytest.mark.parity("U9")
async def test_a_source_that_fails_ends_the_track_and_says_why(world: World, caplog: pytest.LogCaptureFixture) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.run(host.take_seat(0, publish=False))
    await world.settle()
    events = host.events.reader()
    caplog.set_level("CRITICAL")
    await host.set_microphone(True, BrokenSource())
    await world.clock.advance(1.0)
    assert now(host.room.publishing) == NOTHING
    ended = [event for event in iter(events.get_nowait, None) if isinstance(event, PublishingEnded)]
    assert [(event.reason, event.message) for event in ended] == [("failed", "the cable is loose")]
    assert now(host.connected)


@pytest.mark.parity("U9")
async def test_a_source_of_the_wrong_kind_is_refused(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.run(host.take_seat(0))
    with pytest.raises(InvalidInput):
        await host.set_microphone(True, "voice.wav")  # type: ignore[arg-type]  # what this test is about
    assert now(host.room.publishing) == MICROPHONE


@pytest.mark.parity("U9")
async def test_a_source_that_was_not_taken_over_stays_the_callers(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    source = ToneAudioSource()
    with pytest.raises(Forbidden):
        await host.set_microphone(True, source)
    assert await source.read() is not None


@pytest.mark.parity("U9")
async def test_a_source_is_closed_whatever_ends_what_it_was_published_for(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    sources: list[ToneAudioSource] = []

    async def open_microphone() -> None:
        await world.run(host.take_seat(0, publish=False))
        await world.settle()
        sources.append(ToneAudioSource())
        await host.set_microphone(True, sources[-1])

    await open_microphone()
    await world.run(host.leave_seat())
    await open_microphone()
    await host.set_microphone(True, ToneAudioSource())
    await world.run(host.leave_seat())
    await open_microphone()
    await world.engine.execute(ClearSeat(room=ROOM, index=0))
    await world.settle()
    await open_microphone()
    await world.run(host.leave())
    await world.run(host.rejoin())
    await open_microphone()
    await world.run(host.aclose())
    for source in sources:
        with pytest.raises(Closed):
            await source.read()


@pytest.mark.parity("U10")
async def test_data_reaches_everybody_or_only_some(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    one, two = await world.audio_room("one"), await world.audio_room("two")
    readers = [session.events.reader() for session in (one, two)]
    await host.send_data(b"to all", topic="chat")
    await host.send_data(b"to two", to=["two"], reliable=False)
    await world.settle()
    received = [
        [event for event in iter(reader.get_nowait, None) if isinstance(event, DataReceived)] for reader in readers
    ]
    assert [event.payload for event in received[0]] == [b"to all"]
    assert [event.payload for event in received[1]] == [b"to all", b"to two"]
    assert (received[0][0].sender, received[0][0].topic, received[0][0].reliable) == ("host", "chat", True)
    assert not received[1][1].reliable


@pytest.mark.parity("U10")
async def test_bad_data_is_refused(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    with pytest.raises(TooLarge):
        await host.send_data(bytes(15_001))
    with pytest.raises(InvalidInput, match="encode"):
        await host.send_data("text")  # type: ignore[arg-type]  # what this test is about
    with pytest.raises(InvalidInput, match="write"):
        await host.send_data(b"x", to="listener")
    await world.run(host.leave())
    with pytest.raises(Conflict):
        await host.send_data(b"x")


@pytest.mark.parity("U11")
async def test_a_session_that_was_left_can_be_joined_again_and_nothing_is_open_in_between(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_count": 3})
    listener = await world.audio_room("listener")
    await world.run(listener.take_seat(1))
    for _ in range(3):
        await world.run(listener.leave())
        await listener.leave()
        assert now(listener.state) is SessionState.DISCONNECTED
        end = listener.ended.value
        assert end is not None
        assert end.reason == "left"
        await world.settle()
        assert now(host.seats).occupants() == {}
        assert "listener" not in world.backend.server.rooms[ROOM].participants
        for operation in (listener.take_seat, listener.leave_seat, listener.request_to_speak):
            with pytest.raises(Conflict) as caught:
                await operation()
            assert caught.value.code == "not_joined"
        await world.run(listener.rejoin())
        assert now(listener.ended) is None
        await world.run(listener.take_seat(1))
        assert now(listener.room.publishing) == MICROPHONE
    with pytest.raises(Conflict) as caught:
        await listener.rejoin()
    assert caught.value.code == "already_joined"


@pytest.mark.parity("U11")
async def test_a_host_who_comes_again_finds_the_room_as_it_is_now(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_count": 3})
    listener = await world.audio_room("listener")
    await host.setup_seats(7)
    await world.run(listener.take_seat(6))
    await world.run(host.leave())
    await world.run(host.rejoin())
    assert len(now(host.seats).seats) == 7
    assert host.is_host
    assert held_by(listener) is not None


@pytest.mark.parity("U11")
async def test_disposing_ends_it_and_everything_else_says_closed(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await host.dispose()
    await host.dispose()
    assert now(host.state) is SessionState.CLOSED
    assert [state async for state in host.state] == [SessionState.CLOSED]
    for operation in (host.rejoin, host.take_seat, host.leave_seat):
        with pytest.raises(Closed):
            await operation()
    with pytest.raises(Closed):
        await host.set_microphone(True)
    await host.leave()


async def test_a_reader_of_what_is_there_now_and_one_of_nothing(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    with pytest.raises(NotFound):
        listener.reader("host")
    await world.run(host.take_seat(0))
    await world.settle()
    reader = listener.reader("host")
    await world.run(anext(reader))
    await world.run(host.leave_seat())
    await world.settle()
    assert len([frame async for frame in reader]) <= 50


async def test_frames_wait_go_on_with_the_next_track_and_end_with_the_stay(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    collector = FrameCollector()
    recording = asyncio.ensure_future(listener.record("host", collector))
    await world.settle()
    for _ in range(3):
        await world.run(host.take_seat(0))
        await world.clock.advance(0.2)
        await world.run(host.leave_seat())
        await world.clock.advance(0.2)
    assert 25 <= collector.taken <= 36
    await world.run(listener.leave())
    statistics = await world.run(recording)
    assert statistics.frames == collector.taken


async def test_pushed_sound_arrives_byte_for_byte(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    await world.run(host.take_seat(0, publish=False))
    await world.settle()
    source = PushAudioSource()
    await host.set_microphone(True, source)
    await world.settle()
    async with listener.frames("host") as frames:
        pcm = bytes(range(256)) * 15
        source.push_pcm(pcm)
        received = b""
        while len(received) < len(pcm):
            frame = await world.run(anext(frames))
            received += frame.data
    assert received == pcm


async def test_metadata_is_for_reading(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"metadata": {"topic": "birds"}})
    seen: Any = now(host.metadata)
    with pytest.raises(TypeError):
        seen["topic"] = "cats"
    await world.run(host.update_metadata({"topic": "cats"}))
    assert now(host.metadata) == {"topic": "cats"}


async def test_what_needs_a_stay_says_so_without_one(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.run(host.leave())
    with pytest.raises(Conflict, match="is not in there now; join first") as caught:
        await host.send_data(b"x")
    assert caught.value.code == "not_joined"
