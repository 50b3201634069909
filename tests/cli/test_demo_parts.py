"""The parts of `utd demo` one by one: microphone, judgement, folder, view, chart."""

from __future__ import annotations

import asyncio
import io
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.cli.demo_house import House
from utd_core.cli.demo.board import Board, Progress
from utd_core.cli.demo.chart import draw, levels_of
from utd_core.cli.demo.devices import CAMERA, VOICE, Microphone, Voice
from utd_core.cli.demo.folder import recordings
from utd_core.cli.demo.listener import Listener, Part, Stretch
from utd_core.cli.demo.pauses import short_pauses
from utd_core.cli.demo.report import Heard, Report, SceneReport, Take, frames_within, judge
from utd_core.cli.demo.view import BAR_CELLS, View, bar
from utd_core.errors import Closed, InvalidInput, MediaError
from utd_core.media.frames import AudioFrame
from utd_core.media.sinks.level import SILENT, Level
from utd_core.testing import VirtualClock

FINE = Heard("ada", "ben", "audio_room-ada.wav", 200, 200, 1.0)


async def pump(microphone: Microphone, clock: VirtualClock, *, late: float = 0.0) -> AudioFrame:
    """Read a frame and wait until it is due, as a pump does before it writes; `late` seconds more."""
    due = 0.0 if microphone.opened_at is None else clock.monotonic() + 0.020
    frame = await microphone.read()
    await clock.advance(max(0.0, due - clock.monotonic()) + late)
    return frame


async def test_a_microphone_is_silent_then_says_the_voice_then_is_silent_again() -> None:
    voice, clock = await Voice.load(), VirtualClock()
    microphone = Microphone(voice, clock)
    frames = [await pump(microphone, clock) for _ in range(5)]
    microphone.speak()
    frames += [await pump(microphone, clock) for _ in range(202)]
    await asyncio.wait_for(microphone.wait_finished(), 1)
    said = [frame.data for frame in frames]
    assert said == [bytes(1_920)] * 5 + list(voice.frames) + [bytes(1_920)] * 2
    assert [frame.timestamp_us for frame in frames] == [20_000 * number for number in range(207)]
    assert microphone.spoken == 200
    assert microphone.opened_at == 0.0
    assert microphone.spoken_at == pytest.approx(0.1)
    assert microphone.worst_lateness == pytest.approx(0.0, abs=1e-9)
    await microphone.aclose()
    with pytest.raises(Closed):
        await microphone.read()


async def test_lateness_is_that_of_the_latest_frame_of_the_voice() -> None:
    clock = VirtualClock()
    microphone = Microphone(await Voice.load(), clock)
    await pump(microphone, clock, late=0.5)  # nobody speaks yet
    microphone.speak()
    await pump(microphone, clock)
    await pump(microphone, clock, late=0.013)
    await microphone.read()
    assert microphone.worst_lateness == pytest.approx(0.013)


async def test_the_voice_is_that_of_the_assets_padded_to_whole_frames() -> None:
    voice = await Voice.load()
    assert voice.path == VOICE
    assert len(voice.frames) == 200
    assert voice.seconds == 4.0
    assert len(voice.pcm) == 200 * 1_920


@pytest.mark.parametrize(
    ("received", "frames"),
    [
        ([], 0),
        ([Stretch(0, 20_000)], 0),
        ([Stretch(100_000, 20_000)], 1),
        ([Stretch(100_000, 10_000), Stretch(110_000, 10_000)], 1),
        ([Stretch(90_000, 20_000), Stretch(110_000, 10_000)], 1),
        ([Stretch(100_000, 20_000), Stretch(100_000, 20_000)], 1),
        ([Stretch(120_000, 20_000), Stretch(100_000, 20_000)], 2),
        ([Stretch(start, 20_000) for start in range(0, 400_000, 20_000)], 5),
        ([Stretch(190_000, 500_000)], 0),
    ],
)
def test_frames_are_counted_by_the_time_that_they_cover(received: list[Stretch], frames: int) -> None:
    assert frames_within(received, 100_000, 200_000) == frames


@pytest.mark.parametrize(
    ("change", "ok"),
    [
        ({}, True),
        ({"received_frames": 180}, True),
        ({"received_frames": 179}, False),
        ({"correlation": 0.6}, True),
        ({"correlation": 0.599}, False),
        ({"expected_pictures": 60, "pictures": 15}, True),
        ({"expected_pictures": 60, "pictures": 14}, False),
    ],
)
def test_who_has_heard_the_voice(change: dict[str, Any], ok: bool) -> None:
    heard = replace(FINE, **change)
    assert heard.ok is ok
    assert SceneReport("audio_room", played=True, listeners=(FINE, heard)).ok is ok


def test_a_report_is_not_ok_when_a_scene_broke_off_or_nothing_was_played() -> None:
    good = SceneReport("call", played=True, listeners=(FINE,))
    left_out = SceneReport("live_stream", played=False, why="no video")
    assert Report("mock", VOICE, (good, left_out)).ok
    assert not Report("mock", VOICE, (left_out,)).ok
    assert not Report("mock", VOICE, (good, replace(good, why="the connection was lost"))).ok


def test_the_plain_values_are_those_of_the_issue() -> None:
    report = Report("mock", VOICE, (SceneReport("audio_room", played=True, listeners=(FINE,)),))
    assert report.as_dict(Path("/kept")) == {
        "backend": "mock",
        "input": str(VOICE),
        "ok": True,
        "scenes": [
            {
                "scene": "audio_room",
                "played": True,
                "why": "",
                "listeners": [
                    {
                        "identity": "ada",
                        "wav": "/kept/audio_room-ada.wav",
                        "expected_frames": 200,
                        "received_frames": 200,
                        "correlation": 1.0,
                    }
                ],
            }
        ],
    }
    assert report.as_dict(None)["scenes"][0]["listeners"][0]["wav"] is None


async def test_a_listener_is_judged_by_the_file_and_not_by_what_it_was_handed(tmp_path: Path) -> None:
    voice, clock = await Voice.load(), VirtualClock()
    microphone = Microphone(voice, clock)
    microphone.speak()
    await microphone.read()
    listener = Listener(Part("ada", hears="ben"), tmp_path / "ada.wav", clock, origin=0.0)
    listener.received = [Stretch(number * 20_000, 20_000) for number in range(200)]
    assert judge(Take(listener, microphone), voice).correlation == 0.0
    write_wav(listener.path, bytes(48_000) + voice.pcm)
    late = judge(Take(listener, microphone), voice)
    assert late.correlation > 0.999
    assert late.delay_ms == pytest.approx(500)
    assert late.received_frames == 175
    write_wav(listener.path, bytes(len(voice.pcm)))
    assert not judge(Take(listener, microphone), voice).ok


async def test_only_pictures_that_came_while_somebody_spoke_count(tmp_path: Path) -> None:
    voice, clock = await Voice.load(), VirtualClock()
    microphone = Microphone(voice, clock)
    microphone.speak()
    await microphone.read()
    listener = Listener(Part("ada", hears="ben", sees="ben"), tmp_path / "ada.wav", clock, origin=0.0)
    listener.pictures = {0: -0.5, 1: 0.1, 2: 3.9, 3: 4.1}
    heard = judge(Take(listener, microphone), voice)
    assert (heard.pictures, heard.expected_pictures) == (2, int(4.0 * CAMERA.framerate))


def write_wav(path: Path, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(pcm)


def test_recordings_are_put_in_their_place_only_when_they_are_kept(tmp_path: Path) -> None:
    place = tmp_path / "some" / "where"
    with recordings(place) as folder:
        (folder.making / "a.wav").write_bytes(b"new")
        assert not (place / "a.wav").exists()
        folder.keep()
    assert [file.name for file in place.iterdir()] == ["a.wav"]
    with pytest.raises(KeyboardInterrupt):
        stop_in_the_middle(place)
    assert [(file.name, file.read_bytes()) for file in place.iterdir()] == [("a.wav", b"new")]


def stop_in_the_middle(place: Path) -> None:
    with recordings(place) as folder:
        (folder.making / "a.wav").write_bytes(b"half")
        raise KeyboardInterrupt


def test_a_folder_that_was_made_for_nothing_is_removed_again(tmp_path: Path) -> None:
    with recordings(tmp_path / "some" / "where") as folder:
        (folder.making / "a.wav").touch()
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with recordings(None) as folder:
        (folder.making / "a.wav").touch()
        folder.keep()
        assert folder.kept is None
        assert list(tmp_path.iterdir()) == [folder.making]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InvalidInput, match=r"file.* cannot be written"), recordings(place):
            pass
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_recording_that_cannot_be_put_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    with recordings(tmp_path) as folder:
        (folder.making / "a.wav").touch()
        with pytest.raises(MediaError, match="cannot be put into"):
            folder.keep()
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize(
    ("level", "cells"),
    [
        (SILENT, ""),
        (Level(-60.0, -60.0), ""),
        (Level(0.0, 0.0), "█" * BAR_CELLS),
        (Level(-30.0, -30.0), "█" * (BAR_CELLS // 2) + "▏"),
        (Level(-30.0, 0.0), "█" * (BAR_CELLS // 2)),
    ],
)
def test_the_bar_of_a_level(level: Level, cells: str) -> None:
    shown = bar(level)
    assert len(shown.plain) == BAR_CELLS
    assert shown.plain.rstrip() == cells


async def test_the_view_shows_seats_call_and_stage_while_they_are_played(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.begin()

    async def shown(scene: str, step: str, seconds: float) -> str:
        await house.until(scene, step)
        await house.clock.advance(seconds)
        return draw_view(house.board)

    room = await shown("audio_room", "ben speaks", 0.5)
    for words in ("▶ audio room", "· call", "seat 1", "ada", "mic off", "seat 2", "ben", "speaking", "seat 4", "free"):
        assert words in room
    assert "listening: cleo, dan" in room
    assert "hears ben" in room
    assert "dBFS" in room
    assert "≤ 0.0 ms late" in room
    assert "█" in room
    call = await shown("call", "dan speaks", 0.2)
    for words in ("✔ audio room", "▶ call", "caller", "cleo", "◀── active ──▶", "callee", "dan", "video call"):
        assert words in call
    assert "speaking, camera" in call
    assert "pictures" in call
    stream = await shown("live_stream", "cleo speaks", 0.5)
    for words in ("host", "co-publisher", "cleo", "mic on, camera", "watching: ben, dan", "› cleo speaks"):
        assert words in stream
    await house.end()
    assert "✔ live stream" in draw_view(house.board)


def draw_view(board: Board, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(View(console, is_live=True).render(board))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_view_fits_a_small_terminal_and_an_empty_board() -> None:
    board = Board("mock", ("audio_room",), lambda scene, text: None)
    assert "· audio room" in draw_view(board)
    board.mark("audio_room", Progress.LEFT_OUT)
    assert all(len(line) <= 40 for line in draw_view(board, 40).splitlines())
    assert "– audio room" in draw_view(board)


def test_where_there_is_no_terminal_every_step_is_a_line() -> None:
    out = io.StringIO()
    view = View(Console(file=out, width=20), is_live=True)
    board = Board("mock", ("call",), view.step)
    with view.showing(board):
        board.begin("call", ())
        board.say("cleo calls [dan], and a long line is not broken in two")
    assert out.getvalue() == "call: cleo calls [dan], and a long line is not broken in two\n"


def test_the_conclusion_names_what_was_left_out_or_broken_off() -> None:
    out = io.StringIO()
    view = View(Console(file=out, width=120), is_live=False)
    scenes = (
        SceneReport("audio_room", played=True, listeners=(FINE, replace(FINE, identity="dan", received_frames=3))),
        SceneReport("call", played=True, why="nobody answered"),
        SceneReport("live_stream", played=False, why="p2p declares video=False"),
    )
    view.conclude(Report("p2p", VOICE, scenes), Path("/kept"))
    shown = out.getvalue()
    for words in (
        "200/200",
        "3/200",
        "not heard",
        "broken off: call, because nobody answered",
        "left out: live stream, because p2p declares video=False",
        "/kept",
        "Not everybody heard the voice.",
    ):
        assert words in shown


def test_the_chart_is_drawn_of_what_was_recorded(tmp_path: Path) -> None:
    async def play() -> tuple[House, Report]:
        house = House(tmp_path, loss=0.3, seed=2)
        return house, await house.end()

    # Not a test that looks for leaks: matplotlib keeps its fonts open.
    house, report = asyncio.run(play())
    assert house.performance is not None
    takes = house.performance.takes
    picture = tmp_path / "levels.png"
    draw(picture, "mock", [(scene, takes[scene.scene]) for scene in report.scenes])
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")
    assert picture.stat().st_size > 20_000


def test_the_chart_of_a_scene_in_which_nobody_spoke(tmp_path: Path) -> None:
    take = Take(Listener(Part("ada", hears="ben"), tmp_path / "ada.wav", VirtualClock(), origin=0.0), None)
    heard = judge(take, asyncio.run(Voice.load()))
    assert (heard.received_frames, heard.correlation, heard.delay_ms) == (0, 0.0, None)
    scene = SceneReport("audio_room", played=True, why="broken", listeners=(heard,))
    draw(tmp_path / "levels.png", "mock", [(scene, [take])])
    assert (tmp_path / "levels.png").exists()


def test_levels_of_a_recording() -> None:
    loud = b"\xff\x7f" * 960
    assert levels_of(bytes(1_920) + loud) == pytest.approx([-120.0, 0.0], abs=0.01)
    assert levels_of(b"") == []


def test_pauses_are_as_long_as_before_afterwards() -> None:
    import gc
    import sys

    interval, frozen = sys.getswitchinterval(), gc.get_freeze_count()
    with short_pauses():
        assert sys.getswitchinterval() < interval
        assert gc.get_freeze_count() > frozen
    assert (sys.getswitchinterval(), gc.get_freeze_count()) == (interval, 0)
