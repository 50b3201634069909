"""The speech file of the demo is what its README says, and speech."""

from __future__ import annotations

import shutil
import subprocess
import wave
from itertools import pairwise
from pathlib import Path

import pytest

from utd_core.media import correlate, measure
from utd_core.media.pcm import unpack

from .tools import VOICE, audio_frames, read_wav

SCRIPT = VOICE.parents[3] / "scripts" / "make_voice.sh"


@pytest.fixture(scope="module")
def levels() -> list[float]:
    """RMS of each 20 ms, dBFS."""
    return [measure(frame).rms for frame in audio_frames(read_wav(VOICE))]


def test_it_is_48_khz_mono_of_about_four_seconds() -> None:
    with wave.open(str(VOICE)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 1, 2)
        assert 3.0 <= file.getnframes() / 48_000 <= 4.2


def test_its_peak_is_minus_three_dbfs() -> None:
    peak = max(abs(sample) for sample in unpack(read_wav(VOICE)))
    assert peak == pytest.approx(32_768 * 10 ** (-3 / 20), rel=0.005)


def test_it_begins_and_ends_with_little_silence(levels: list[float]) -> None:
    heard = [number for number, level in enumerate(levels) if level > -50]
    assert 1 <= heard[0] <= 5, "at most 100 ms, and not cut off"
    assert 1 <= len(levels) - 1 - heard[-1] <= 5


def test_it_is_speech_and_no_tone(levels: list[float]) -> None:
    pcm = read_wav(VOICE)
    samples = unpack(pcm)
    rms = (sum(sample * sample for sample in samples) / len(samples)) ** 0.5
    assert 4 < max(samples) / rms < 20, "crest factor: a sine has 1.4"
    loud = sum(level > -35 for level in levels) / len(levels)
    assert 0.5 < loud < 0.95, "words and pauses"
    changes = sum(abs(b - a) > 6 for a, b in pairwise(levels))
    assert changes / (len(levels) / 50) > 3, "syllables: several jumps of 6 dB a second"
    crossings = [
        sum((a < 0) != (b < 0) for a, b in pairwise(part))
        for part in (unpack(frame.data) for frame in audio_frames(pcm))
        if max(part) > 300
    ]
    assert max(crossings) > 4 * min(crossings), "vowels and hisses differ in pitch"


def test_it_matches_itself_at_one_place_only() -> None:
    pcm = read_wav(VOICE)
    later = correlate(pcm, pcm[2 * 4_800 :] + pcm[: 2 * 4_800])
    assert later.lag == -4_800
    assert later.peak > 0.999
    half = len(pcm) // 4 * 2
    assert correlate(pcm[:half], pcm[half:]).peak < 0.5, "its two sentences are different"


@pytest.mark.skipif(
    not (shutil.which("espeak-ng") and shutil.which("sox")), reason="making the voice needs espeak-ng and sox"
)
def test_its_script_makes_it_again(tmp_path: Path) -> None:
    again = tmp_path / "voice.wav"
    subprocess.run([str(SCRIPT), str(again)], check=True, timeout=60)
    ours, theirs = read_wav(VOICE), read_wav(again)
    assert len(theirs) == pytest.approx(len(ours), rel=0.02)
    assert correlate(ours, theirs).peak > 0.95


def test_its_readme_quotes_what_is_said() -> None:
    script, readme = SCRIPT.read_text(), (VOICE.parent / "README.md").read_text()
    (said,) = [line.partition("=")[2].strip("'") for line in script.splitlines() if line.startswith("text=")]
    assert f'"{said}"' in readme
