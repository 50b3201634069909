"""`utd demo` on a backend for calls of two: `utd serve` and the callee are processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from utd_core.cli.demo.board import Board
from utd_core.cli.demo.command import NOT_HEARD, STOPPED, UNUSABLE
from utd_core.cli.demo.devices import VOICE
from utd_core.cli.demo.far import Role, far_performer
from utd_core.cli.demo.houses import is_played_apart
from utd_core.cli.demo.processes import running, serving
from utd_core.cli.demo.report import compare
from utd_core.cli.main import app
from utd_core.concurrency import SystemClock
from utd_core.errors import UTDStreamException
from utd_core.hooks import default_manager
from utd_core.media.capabilities import Capabilities
from utd_core.testing.wait import eventually

pytestmark = pytest.mark.heavy

UTD = [sys.executable, "-c", "from utd_core.cli import main; main()"]
PATIENCE = 60.0


class Playing:
    """A demo while it is played."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.steps: list[str] = []

    def until(self, words: str) -> None:
        """Let it be played up to a step."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.steps.append(line.rstrip("\n"))
            if words in line:
                return
        raise AssertionError(f"{words!r} was never said: {self.steps}")

    def end(self) -> tuple[int, str, str]:
        """Its exit status, what it prints, and what else it says of itself."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    @property
    def family(self) -> dict[int, str]:
        """The processes that it has begun: their ids, and with what command."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = {int(number): Path(f"/proc/{number}/cmdline").read_text().replace("\0", " ") for number in listed}
        assert len(found) == 2, found
        return found

    def pid_of(self, word: str) -> int:
        (pid,) = (number for number, command in self.family.items() if word in command)
        return pid


@contextmanager
def playing(folder: Path, *arguments: str) -> Iterator[Playing]:
    """The real command; `folder`: for its temporary files."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [*UTD, "demo", "--backend", "webrtc_p2p", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
        # A shell that starts the tests in the background has SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  (no thread runs here)
    )
    try:
        yield Playing(process)
    finally:
        process.kill()
        process.communicate()


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_the_call_is_played_in_two_processes_and_the_other_scenes_are_left_out(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with playing(tmp_path / "temporary", "--record", str(kept)) as demo:
        demo.until("cleo is in this process, dan in another")
        family = demo.family
        demo.until("dan hangs up")
        status, out, err = demo.end()
    assert status == 0, err
    assert sorted("serve" in command for command in family.values()) == [False, True]
    assert not any(map(runs, family))
    (line,) = out.splitlines()
    report = json.loads(line)
    assert set(report) == {"backend", "input", "ok", "scenes"}
    assert (report["backend"], report["input"], report["ok"]) == ("webrtc_p2p", str(VOICE), True)
    assert [(scene["scene"], scene["played"]) for scene in report["scenes"]] == [
        ("audio_room", False),
        ("call", True),
        ("live_stream", False),
    ]
    for name in ("audio room", "live stream"):
        assert f"left out: {name}, because webrtc_p2p carries 2 participants in a room, and 4 take part" in err
    with wave.open(str(VOICE)) as file:
        said = file.readframes(file.getnframes())
    (call,) = (scene for scene in report["scenes"] if scene["played"])
    assert [each["identity"] for each in call["listeners"]] == ["dan", "cleo"]
    for each in call["listeners"]:
        assert each["expected_frames"] == 200
        assert each["received_frames"] >= 190
        assert each["correlation"] >= 0.8
        with wave.open(each["wav"]) as file:
            heard = compare(said, file.readframes(file.getnframes())).peak
        assert heard == pytest.approx(each["correlation"], abs=1e-3)
    assert {file.name for file in kept.iterdir()} == {"call-cleo.wav", "call-dan.wav", "levels.png"}
    assert list((tmp_path / "temporary").iterdir()) == []
    assert "Traceback" not in err


@pytest.mark.parametrize("step", ["utd serve listens", "cleo speaks"])
def test_ctrl_c_leaves_no_process_and_no_file(tmp_path: Path, step: str) -> None:
    with playing(tmp_path / "temporary", "--record", str(tmp_path / "kept")) as demo:
        demo.until(step)
        family = demo.family
        demo.process.send_signal(signal.SIGINT)
        status, out, err = demo.end()
    assert (status, out) == (STOPPED, "")
    assert "utd demo: stopped; nothing is left behind" in err
    assert "Traceback" not in err
    assert not any(map(runs, family))
    assert [str(left) for left in tmp_path.rglob("*")] == [str(tmp_path / "temporary")]


def test_a_callee_whose_process_dies_breaks_the_scene_off_with_a_sentence(tmp_path: Path) -> None:
    with playing(tmp_path / "temporary") as demo:
        demo.until("cleo speaks")
        family = demo.family
        os.kill(demo.pid_of("elsewhere"), signal.SIGKILL)
        status, out, err = demo.end()
    assert status == NOT_HEARD
    (call,) = (scene for scene in json.loads(out)["scenes"] if scene["played"])
    assert call["why"] == "the process of dan ended with status -9"
    assert "broken off: call, because the process of dan ended" in err
    assert not any(map(runs, family))


@pytest.mark.parametrize(
    ("setting", "said"),
    [("loopbak=always", "webrtc_p2p has no setting 'loopbak'"), ("path_timeout=-1", "'path_timeout' of webrtc_p2p")],
)
def test_a_wrong_setting_is_one_line_before_any_process_begins(setting: str, said: str) -> None:
    ran = CliRunner().invoke(app, ["demo", "--backend", "webrtc_p2p", "--setting", setting])
    assert ran.exit_code == UNUSABLE
    (line,) = ran.stderr.splitlines()
    assert line.startswith("utd demo: ")
    assert said in line


@pytest.mark.parametrize(
    ("declared", "apart"),
    [
        (Capabilities(signalling=True, max_participants=2), True),
        (Capabilities(signalling=False, max_participants=2), False),
        (Capabilities(signalling=True, max_participants=None), False),
    ],
    ids=["calls-of-two", "with-a-media-server", "with-rooms"],
)
def test_what_a_backend_declares_decides_where_it_is_played(declared: Capabilities, apart: bool) -> None:
    assert is_played_apart(declared) is apart
    assert is_played_apart(default_manager().spec("webrtc_p2p").capabilities)
    assert not is_played_apart(default_manager().spec("mock").capabilities)


async def test_a_process_that_ends_says_why() -> None:
    program = "import sys; print('first', file=sys.stderr); sys.exit('no such thing')"
    async with running("it", "-c", program, environment={}) as run:
        with pytest.raises(UTDStreamException, match=r"it ended with status 1: no such thing"):
            await run.read()


async def test_a_process_that_does_not_end_when_it_is_told_to_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utd_core.cli.demo.processes.ENDING", 0.1)
    program = (
        "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True)\n"
        "while True: signal.pause()"
    )
    async with running("it", "-c", program, environment={}) as run:
        pid = int(await run.read())
    assert not runs(pid)


async def test_a_process_ends_with_whoever_waited_for_it() -> None:
    pids: list[int] = []

    async def wait() -> None:
        async with running("it", "-c", "import os; print(os.getpid(), flush=True); input()", environment={}) as run:
            pids.append(int(await run.read()))
            await run.read()

    waiting = asyncio.create_task(wait())
    await eventually(lambda: pids or waiting.done(), PATIENCE)
    waiting.cancel()
    with pytest.raises((asyncio.CancelledError, UTDStreamException)):
        await waiting
    assert not any(map(runs, pids))


async def test_a_server_that_cannot_start_is_an_error_with_its_own_words() -> None:
    with pytest.raises(UTDStreamException, match=r"utd serve ended with status 1: .*no-such-backend"):
        async with serving("no-such-backend", "{}", SystemClock()):
            pass


async def test_somebody_who_cannot_sign_in_is_an_error_with_that_ones_own_words() -> None:
    board = Board("webrtc_p2p", ("call",), lambda scene, step: None)
    role: dict[str, Any] = {"base_url": "http://127.0.0.1:1", "app_id": "dev", "app_key": "0123456789abcdef"}
    async with far_performer("dan", 4.0, SystemClock(), board) as dan:
        with pytest.raises(UTDStreamException, match="no-such-backend"):
            await dan.meet(
                Role("dan", **role, backend="no-such-backend", settings={}, voice=str(VOICE), has_camera=True)
            )
