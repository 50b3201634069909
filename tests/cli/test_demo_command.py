"""`utd demo` as people run it: the real command in real time, its exit status, Ctrl-C, and how it fails."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.hooks.plugins import Installed, Plugin, spec_of
from utd_core.cli.demo.command import NOT_HEARD, STOPPED, UNUSABLE, read_settings
from utd_core.cli.demo.devices import VOICE
from utd_core.cli.demo.performance import Performance
from utd_core.cli.demo.report import compare
from utd_core.cli.main import app
from utd_core.errors import ConnectFailed, InvalidInput
from utd_core.hooks import PluginManager
from utd_core.media.capabilities import Capabilities

pytestmark = pytest.mark.heavy

UTD = [sys.executable, "-c", "from utd_core.cli import main; main()"]
LISTENERS = {
    "audio_room": ["ada", "cleo", "dan"],
    "call": ["dan", "cleo"],
    "live_stream": ["ada", "ben", "dan"],
}


@pytest.fixture
def short_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The beginning of the voice is enough where only the command around it is tested."""
    path = tmp_path / "short.wav"
    with wave.open(str(VOICE)) as voice, wave.open(str(path), "wb") as file:
        file.setparams(voice.getparams())
        file.writeframes(voice.readframes(40_000))
    monkeypatch.setattr("utd_core.cli.demo.command.VOICE", path)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["demo", *arguments])


def outcome(ran: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def test_the_real_command_records_what_everybody_heard(tmp_path: Path) -> None:
    kept = tmp_path / "new" / "kept"
    began = time.monotonic()
    ran = subprocess.run(
        [*UTD, "demo", "--backend", "mock", "--record", str(kept), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    took = time.monotonic() - began
    assert ran.returncode == 0, ran.stderr
    assert took > 12, "three times four seconds of voice take twelve seconds, in real time"
    (line,) = ran.stdout.splitlines()
    report = json.loads(line)
    assert set(report) == {"backend", "input", "ok", "scenes"}
    assert (report["backend"], report["input"], report["ok"]) == ("mock", str(VOICE), True)
    assert [scene["scene"] for scene in report["scenes"]] == list(LISTENERS)
    with wave.open(report["input"]) as file:
        said = file.readframes(file.getnframes())
    for scene in report["scenes"]:
        assert set(scene) == {"scene", "played", "why", "listeners"}
        assert (scene["played"], scene["why"]) == (True, "")
        assert [each["identity"] for each in scene["listeners"]] == LISTENERS[scene["scene"]]
        for each in scene["listeners"]:
            assert set(each) == {"identity", "wav", "expected_frames", "received_frames", "correlation"}
            assert each["expected_frames"] == 200
            assert each["received_frames"] >= 190
            assert each["correlation"] > 0.95
            assert Path(each["wav"]) == kept / f"{scene['scene']}-{each['identity']}.wav"
            with wave.open(each["wav"]) as file:
                assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 1, 2)
                assert 4.0 <= file.getnframes() / 48_000 < 15.0
                assert compare(said, file.readframes(file.getnframes())).peak == pytest.approx(
                    each["correlation"], abs=1e-3
                )
    names = {f"{scene}-{name}.wav" for scene, listeners in LISTENERS.items() for name in listeners}
    assert {file.name for file in kept.iterdir()} == {*names, "levels.png"}
    assert (kept / "levels.png").read_bytes().startswith(b"\x89PNG")
    assert "audio_room: ben asks to speak" in ran.stderr
    assert "Everybody heard the voice in 3 scenes." in ran.stderr
    assert "Traceback" not in ran.stderr


def test_ctrl_c_in_the_live_view_leaves_nothing_behind_and_says_so(tmp_path: Path) -> None:
    terminal, other_end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [*UTD, "demo", "--record", str(tmp_path / "kept"), "--json"],
        stdout=subprocess.PIPE,
        stderr=other_end,
        env=environment,
        start_new_session=True,
        # A shell that starts the tests in the background has SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  (no thread runs here)
    ) as command:
        os.close(other_end)
        try:
            shown = read_until(terminal, b"speaking")
            assert b"seat 2" in shown
            assert b"dBFS" in shown
            assert (tmp_path / "kept").exists()
            command.send_signal(signal.SIGINT)
            shown = read_until(terminal, b"nothing is left behind")
            said, _ = command.communicate(timeout=20)
        finally:
            command.kill()
            os.close(terminal)
    assert b"utd demo: stopped; nothing is left behind" in shown
    assert b"Traceback" not in shown
    assert (command.returncode, said) == (STOPPED, b"")
    assert list(tmp_path.iterdir()) == []


def read_until(terminal: int, words: bytes, seconds: float = 30.0) -> bytes:
    """What a terminal shows up to the words, and no longer than this."""
    shown, end = b"", time.monotonic() + seconds
    while words not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"{words!r} did not come within {seconds} s: {shown!r}"
        shown += os.read(terminal, 65_536)
    return shown


def test_when_somebody_does_not_hear_the_exit_status_is_1_and_the_recordings_are_kept(
    tmp_path: Path, short_voice: Path
) -> None:
    ran = run("--json", "--record", str(tmp_path / "kept"), "--setting", "loss=0.7", "--setting", "seed=1")
    assert ran.exit_code == NOT_HEARD, ran.output
    report = outcome(ran)
    assert (report["ok"], report["input"]) == (False, str(short_voice))
    assert all(scene["played"] for scene in report["scenes"])
    assert all(each["received_frames"] < 30 for scene in report["scenes"] for each in scene["listeners"])
    assert "Not everybody heard the voice." in ran.stderr
    assert len(list((tmp_path / "kept").iterdir())) == 9


def test_without_a_folder_the_recordings_are_gone_and_stdout_shows_the_steps(
    tmp_path: Path, short_voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    ran = run()
    assert ran.exit_code == 0, ran.output
    assert "call: dan answers" in ran.stdout
    assert "Everybody heard the voice in 3 scenes." in ran.stdout
    assert ran.stderr == ""
    assert list(temporary.iterdir()) == []


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend for two, without anything that the engine can work with."""
    found = Installed(monkeypatch)
    found.add("small", Plugin(spec_of("small", capabilities=Capabilities(max_participants=2, control=False))))
    manager = PluginManager(entry_points=found.entry_points, allow=["small"])
    monkeypatch.setattr("utd_core.cli.demo.command.default_manager", lambda: manager)


@pytest.mark.usefixtures("small")
def test_a_backend_that_can_play_nothing_is_not_ok_and_every_scene_is_named(tmp_path: Path) -> None:
    ran = run("--backend", "small", "--json", "--record", str(tmp_path / "kept"))
    assert ran.exit_code == NOT_HEARD, ran.output
    report = outcome(ran)
    assert report["ok"] is False
    assert [scene["scene"] for scene in report["scenes"]] == list(LISTENERS)
    for scene in report["scenes"]:
        assert (scene["played"], scene["listeners"]) == (False, [])
        assert "small declares control=False" in scene["why"]
        assert f"left out: {scene['scene'].replace('_', ' ')}" in ran.stderr
    assert "can play none of the scenes" in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--backend", "mokc"], "did you mean 'mock'?"),
        (["--setting", "loss"], "--setting takes KEY=VALUE, got 'loss'"),
        (["--setting", "=1"], "--setting takes KEY=VALUE, got '=1'"),
        (["--setting", "lose=1"], "the mock has no setting 'lose'"),
        (["--setting", "loss=much"], "must be a number from 0 to 1, got 'much'"),
        (["--record", f"{VOICE}/below"], "cannot be written (Not a directory)"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_status_2(arguments: list[str], said: str) -> None:
    ran = run("--json", *arguments)
    assert ran.exit_code == UNUSABLE, ran.output
    (line,) = ran.stderr.splitlines()
    assert line.startswith("utd demo: ")
    assert said in line
    assert ran.stdout == ""


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    ran = run()
    assert ran.exit_code == UNUSABLE
    assert 'pip install "utd-core[demo]"' in ran.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectFailed("the media server is away"), "utd demo: the media server is away [connect_failed]\n"),
        (KeyError("oops"), "utd demo: KeyError: 'oops' (this is a mistake in utd-core; --debug shows where)\n"),
    ],
)
def test_an_error_is_one_line_unless_debug_asks_for_more(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    async def fail(performance: Performance) -> None:
        raise error

    monkeypatch.setattr(Performance, "run", fail)
    ran = run()
    assert (ran.exit_code, ran.stderr) == (NOT_HEARD, said)
    more = run("--debug")
    assert more.exit_code == NOT_HEARD
    assert more.stderr.startswith("Traceback")
    assert more.stderr.endswith(said)


def test_settings_are_numbers_truths_and_words() -> None:
    assert read_settings(["a=1", "b=0.5", "c=true", "url=wss://host:7880/?a=b", "secret=", 'id="12"']) == {
        "a": 1,
        "b": 0.5,
        "c": True,
        "url": "wss://host:7880/?a=b",
        "secret": "",
        "id": "12",
    }
    with pytest.raises(InvalidInput):
        read_settings(["novalue"])
