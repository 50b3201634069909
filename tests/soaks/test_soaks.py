"""Every soak there is runs, for some seconds, and says what it saw."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from soaks.__main__ import names, run
from soaks.watch import PROCESS, Report

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parents[2]
TIMELESS = {"memory", "blocks", "threads", "descriptors", "tasks"}
"""What some seconds on a busy machine can tell; what is late or lost there is the machine's doing."""


def soaks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "soaks", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", names())
def test_a_short_run_sees_every_figure_and_nothing_that_stays_behind(name: str) -> None:
    ran = soaks(name, "--minutes", "0.1", "--json")
    (report,) = json.loads(ran.stdout.splitlines()[-1])["soaks"]
    assert report["error"] is None, ran.stderr
    verdicts = {verdict["name"]: verdict for verdict in report["verdicts"]}
    assert verdicts.keys() >= PROCESS.keys()
    assert [name for name, verdict in verdicts.items() if verdict["limit"] == "was never seen"] == []
    assert [name for name in TIMELESS if not verdicts[name]["ok"]] == []
    assert ran.returncode == (0 if report["ok"] else 1)


def test_a_soak_that_fails_is_reported_with_what_was_seen_until_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from soaks import webrtc_p2p

    async def breaks(watch: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(webrtc_p2p, "soak", breaks)
    report = run("webrtc_p2p", 1.0)
    assert not report.ok
    assert report.error == "OSError: the disk is full"
    assert "Traceback" in capsys.readouterr().err


def test_what_grows_makes_the_report_bad() -> None:
    from soaks import Figure
    from soaks.watch import judge

    grown = judge("tasks", Figure(may_grow=4.0), [float(number) for number in range(30)])
    assert not Report("a soak", 1.0, 30, (grown,)).ok


def test_an_unknown_soak_is_refused_by_name() -> None:
    ran = soaks("no_such_soak")
    assert ran.returncode == 2
    assert "no_such_soak" in ran.stderr
    assert "webrtc_p2p" in ran.stderr
