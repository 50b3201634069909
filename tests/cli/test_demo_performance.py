"""The three scenes, in virtual time: everybody hears the voice, and it shows when somebody does not."""

from __future__ import annotations

import asyncio
import wave
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.demo_house import FRAMES, House, heard_in, make_folder, recordings_in, scene_of
from utd_core.cli.demo import performers
from utd_core.cli.demo.board import Progress
from utd_core.cli.demo.devices import Microphone, Voice
from utd_core.cli.demo.report import HEARD_FRAMES
from utd_core.cli.demo.scenes import SCENES
from utd_core.concurrency import Clock
from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import Fault
from utd_core.model.permission import TrackSource
from utd_mock import MockBackend

MICROPHONE = TrackSource.MICROPHONE


async def test_everybody_hears_every_frame_in_every_scene(tmp_path: Path) -> None:
    house = House(tmp_path)
    report = await house.end()
    assert report.ok, report
    assert [(scene.scene, scene.played, scene.why) for scene in report.scenes] == [
        ("audio_room", True, ""),
        ("call", True, ""),
        ("live_stream", True, ""),
    ]
    assert {scene.scene: [each.identity for each in scene.listeners] for scene in report.scenes} == {
        "audio_room": ["ada", "cleo", "dan"],
        "call": ["dan", "cleo"],
        "live_stream": ["ada", "ben", "dan"],
    }
    for scene in report.scenes:
        for heard in scene.listeners:
            assert (heard.expected_frames, heard.received_frames) == (FRAMES, FRAMES)
            assert heard.correlation > 0.999
            assert heard.delay_ms == 0.0
            assert heard.pictures == heard.expected_pictures
            with wave.open(str(tmp_path / heard.wav)) as file:
                assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 1, 2)
                assert file.getnframes() >= FRAMES * 960
    assert scene_of(report, "audio_room").listeners[0].expected_pictures == 0
    assert scene_of(report, "live_stream").listeners[0].expected_pictures == 18
    assert [card.progress for card in house.board.cards] == [Progress.HEARD] * 3


async def test_the_stream_of_events_is_that_of_the_issue(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.end()
    told = [text for scene, text in house.steps if scene == "audio_room"]
    order = ["ben asks to speak", "ada approves: ben has a seat, and the seat grants publishing", "ben speaks"]
    assert [text for text in told if text in order] == order


async def test_nobody_speaks_before_a_slow_network_has_carried_the_open_microphone(tmp_path: Path) -> None:
    report = await House(tmp_path, latency_ms=400, jitter_ms=50, seed=1).end()
    assert report.ok, report
    for scene in report.scenes:
        for heard in scene.listeners:
            assert heard.received_frames == FRAMES
            assert heard.delay_ms is not None
            assert 390 <= heard.delay_ms <= 470


async def test_losing_three_of_five_frames_is_not_heard(tmp_path: Path) -> None:
    report = await House(tmp_path, loss=0.6, seed=1).end()
    assert not report.ok
    for scene in report.scenes:
        assert scene.played
        for heard in scene.listeners:
            assert 0 < heard.received_frames < HEARD_FRAMES * heard.expected_frames
            assert not heard.ok


async def test_one_listener_who_loses_frames_is_enough(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.inject_at("ben speaks", Fault.PACKET_LOSS, "cleo", rate=0.6)
    report = await house.end()
    room = heard_in(report, "audio_room")
    assert [name for name, heard in room.items() if not heard.ok] == ["cleo"]
    assert scene_of(report, "call").ok
    assert not report.ok
    assert [card.progress for card in house.board.cards] == [Progress.NOT_HEARD, Progress.HEARD, Progress.HEARD]


async def test_a_listener_who_unsubscribes_hears_nothing_of_the_rest(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.begin()
    await house.until("audio_room", "ben speaks")
    cleo = house.board.session
    assert cleo is not None
    await cleo.room.set_subscribed("ben", MICROPHONE, False)
    room = heard_in(await house.end(), "audio_room")
    assert not room["cleo"].ok
    assert room["cleo"].received_frames < 2
    assert room["ada"].ok
    assert room["dan"].ok


async def test_a_deaf_listener_is_waited_for_once_and_has_an_empty_recording(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.inject_at("ben asks to speak", Fault.PACKET_LOSS, "cleo", rate=1.0)
    room = heard_in(await house.end(), "audio_room")
    assert (room["cleo"].received_frames, room["cleo"].correlation, room["cleo"].delay_ms) == (0, 0.0, None)
    with wave.open(str(tmp_path / "audio_room-cleo.wav")) as file:
        assert file.getnframes() == 0
    assert room["ada"].ok


async def test_a_speaker_whom_the_server_mutes_is_heard_by_nobody(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.begin()
    await house.until("live_stream", "cleo speaks")
    control = house.media.control
    (room,) = await control.list_rooms()
    (cleo,) = (each for each in await control.list_participants(room) if each.identity == "cleo")
    (track,) = (track for track in cleo.tracks if track.source is MICROPHONE)
    await control.mute_track(room, "cleo", track.id)
    report = await house.end()
    assert not any(heard.ok for heard in scene_of(report, "live_stream").listeners)
    assert scene_of(report, "call").ok


async def test_another_voice_is_not_taken_for_the_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Backwards(Microphone):
        def __init__(self, voice: Voice, clock: Clock) -> None:
            frames = tuple(frame[::-1] for frame in reversed(voice.frames))
            super().__init__(replace(voice, frames=tuple(_swapped(frame) for frame in frames)), clock)

    monkeypatch.setattr(performers, "Microphone", Backwards)
    report = await House(tmp_path).end()
    assert not report.ok
    for scene in report.scenes:
        for heard in scene.listeners:
            assert heard.received_frames == FRAMES
            assert heard.correlation < 0.4
            assert heard.delay_ms is None


def _swapped(frame: bytes) -> bytes:
    """Bytes of samples that were reversed as bytes, in their right order again."""
    swapped = bytearray(frame)
    swapped[0::2], swapped[1::2] = frame[1::2], frame[0::2]
    return bytes(swapped)


async def test_a_picture_that_nobody_sees_is_not_ok(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.begin()
    await house.until("live_stream", "cleo speaks")
    ben = house.board.session
    assert ben is not None
    await ben.room.set_subscribed("ada", TrackSource.CAMERA, False)
    stream = heard_in(await house.end(), "live_stream")
    assert stream["ben"].correlation > 0.999
    assert not stream["ben"].ok
    assert stream["dan"].ok


async def test_a_scene_that_breaks_off_says_why_and_the_next_ones_are_played(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.inject_at("ben asks to speak", Fault.GRANT_DELAY, "ben", seconds=3_600.0)
    report = await house.end()
    room = scene_of(report, "audio_room")
    assert room.played
    assert room.why.startswith("the opening of the microphone of ben did not happen within 10.0 s; the last value is")
    assert [heard.received_frames for heard in room.listeners] == [0, 0, 0]
    assert not report.ok
    assert scene_of(report, "call").ok
    assert scene_of(report, "live_stream").ok


@pytest.mark.parametrize(
    ("declared", "played", "why"),
    [
        (Capabilities(max_participants=2), ["call"], "mock carries 2 participants in a room, and 4 take part"),
        (Capabilities(grants_live=False), ["call"], "mock declares grants_live=False"),
        (Capabilities(video=False), ["audio_room", "call"], "mock declares video=False"),
        (Capabilities(control=False), [], "mock declares control=False"),
        (Capabilities(sample_rates=frozenset({16_000})), [], "mock does not carry the voice's rate of 48000 Hz"),
    ],
)
async def test_scenes_that_a_backend_cannot_carry_are_left_out_with_the_reason(
    tmp_path: Path, declared: Capabilities, played: list[str], why: str
) -> None:
    report = await House(tmp_path, declared=declared).end()
    assert [scene.scene for scene in report.scenes if scene.played] == played
    for scene in report.scenes:
        assert scene.ok is scene.played
        assert scene.why.startswith(why) is not scene.played
    assert report.ok is bool(played)
    assert {name.partition("-")[0] for name in recordings_in(tmp_path)} == set(played)


async def test_a_recording_that_cannot_be_made_breaks_its_scene_off_with_a_sentence(tmp_path: Path) -> None:
    make_folder(tmp_path / "call-cleo.wav")
    report = await House(tmp_path).end()
    assert scene_of(report, "audio_room").ok
    call = scene_of(report, "call")
    assert call.played
    assert "call-cleo.wav cannot be written" in call.why
    assert not any(heard.ok for heard in call.listeners)
    assert not report.ok


async def test_without_video_the_call_is_an_audio_call(tmp_path: Path) -> None:
    house = House(tmp_path, declared=Capabilities(video=False))
    report = await house.end()
    assert [heard.expected_pictures for heard in scene_of(report, "call").listeners] == [0, 0]


@pytest.mark.parametrize(
    ("scene", "step"),
    [
        ("audio_room", "ben, cleo and dan come in to listen"),
        ("audio_room", "ben speaks"),
        ("call", "it rings at dan's"),
        ("call", "dan speaks"),
        ("live_stream", "cleo speaks"),
    ],
)
async def test_stopping_in_the_middle_leaves_no_task_no_thread_and_no_open_file(
    tmp_path: Path, scene: str, step: str
) -> None:
    house = House(tmp_path)
    await house.begin()
    await house.until(scene, step)
    assert house.playing is not None
    house.playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await house.playing
    await house.media.aclose()


async def test_the_rooms_of_the_scenes_are_closed_in_the_end(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.begin()
    playing = house.playing
    assert playing is not None
    await house.clock.advance_until(playing.done)
    assert await house.media.control.list_rooms() == []
    await house.media.aclose()


def test_every_scene_of_the_issue_is_there() -> None:
    assert [scene.name for scene in SCENES] == ["audio_room", "call", "live_stream"]
    assert all(not scene.needs.missing("mock", MockBackend.capabilities) for scene in SCENES)
