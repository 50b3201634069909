"""Likeness is 1 for the same sound however delayed, cut or loud, and small for another one."""

from __future__ import annotations

import sys
from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_core.errors import ErrorCode, InvalidInput, UTDStreamException
from utd_core.media import correlate
from utd_core.media.analysis import correlate_pieces
from utd_core.media.pcm import pack, unpack

from .tools import VOICE, noise, read_wav


@pytest.fixture(scope="module")
def voice() -> bytes:
    return read_wav(VOICE)


def scaled(pcm: bytes, factor: float) -> bytes:
    return pack(array("h", [round(sample * factor) for sample in unpack(pcm)]))


@settings(max_examples=25)
@given(before=st.integers(0, 5_000), after=st.integers(0, 5_000), loudness=st.floats(0.05, 1.0))
def test_a_delayed_quieter_copy_is_the_same(before: int, after: int, loudness: float) -> None:
    sound = noise(4_000)
    heard = bytes(2 * before) + scaled(sound, loudness) + bytes(2 * after)
    likeness = correlate(sound, heard)
    assert likeness.peak > 0.999
    assert likeness.lag == before
    mirrored = correlate(heard, sound)
    assert mirrored.peak == pytest.approx(likeness.peak)
    assert mirrored.lag == -before


@settings(max_examples=25)
@given(cut=st.integers(0, 1_400), end=st.integers(0, 1_400))
def test_a_copy_that_was_cut_is_the_same_where_it_is_there(cut: int, end: int) -> None:
    sound = noise(4_000)
    likeness = correlate(sound, sound[2 * cut : len(sound) - 2 * end])
    assert likeness.peak > 0.995
    assert likeness.lag == -cut


def test_the_voice_is_found_in_a_long_recording(voice: bytes) -> None:
    likeness = correlate(voice, bytes(2 * 100_000) + voice + bytes(2 * 300_000))
    assert likeness.peak > 0.999
    assert likeness.lag == 100_000


def test_lost_frames_show_in_the_number(voice: bytes) -> None:
    frames = [voice[at : at + 1_920] for at in range(0, len(voice), 1_920)]
    lossy = b"".join(bytes(1_920) if number % 10 == 0 else frame for number, frame in enumerate(frames))
    likeness = correlate(voice, lossy)
    assert 0.9 < likeness.peak < 0.98
    assert likeness.lag == 0


def test_noise_on_the_way_shows_in_the_number(voice: bytes) -> None:
    rms = (sum(sample * sample for sample in unpack(voice)) / (len(voice) // 2)) ** 0.5
    hiss = unpack(noise(len(voice) // 2, peak=round(rms * 3**0.5)))
    noisy = pack(array("h", [max(-32_768, min(32_767, a + b)) for a, b in zip(unpack(voice), hiss, strict=True)]))
    assert correlate(voice, noisy).peak == pytest.approx(2**-0.5, abs=0.03), "as much noise as voice"


def test_another_sound_is_unlike(voice: bytes) -> None:
    assert correlate(voice, noise(len(voice) // 2)).peak < 0.1
    assert correlate(noise(48_000, 1), noise(48_000, 2)).peak < 0.05
    backwards = pack(unpack(voice)[::-1])
    assert correlate(voice, backwards).peak < 0.5


def test_a_few_samples_at_the_edge_do_not_count(voice: bytes) -> None:
    assert correlate(voice, bytes(2 * 48_000) + noise(10)).peak < 0.7
    assert correlate(noise(4_000, 1), bytes(2 * 4_000) + noise(4_000, 2)).peak < 0.15


def test_polarity_and_a_constant_offset_do_not_matter(voice: bytes) -> None:
    assert correlate(voice, scaled(voice, -0.5)).peak > 0.999
    raised = pack(array("h", [min(32_767, sample + 5_000) for sample in unpack(voice)]))
    assert correlate(voice, raised).peak > 0.999
    offset_only = array("h", [5_000] * 48_000)
    assert correlate(voice, pack(offset_only)).peak == 0.0


@pytest.mark.parametrize("silence", [b"", b"\0\0", bytes(96_000)])
def test_silence_is_like_nothing(silence: bytes) -> None:
    for first, second in ((noise(960), silence), (silence, noise(960)), (silence, silence)):
        likeness = correlate(first, second)
        assert (likeness.peak, likeness.lag) == (0.0, 0)


@pytest.mark.parametrize("pcm", [b"odd", "text", [0, 1], None])
def test_what_is_no_pcm_is_refused(pcm: Any) -> None:
    with pytest.raises(InvalidInput, match="mono int16 PCM"):
        correlate(noise(960), pcm)


def test_without_numpy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(UTDStreamException, match=r'correlate\(\) needs numpy.*"utd-core\[av\]"') as caught:
        correlate(b"", b"")
    assert caught.value.code == ErrorCode.MISSING_EXTRA


def test_a_voice_with_pauses_that_were_not_there_is_the_same_in_pieces(voice: bytes) -> None:
    half, pause = len(voice) // 2, bytes(2 * 19_200)
    late = bytes(2 * 4_800) + voice[:half] + pause + voice[half:]
    assert correlate(voice, late).peak < 0.9
    pieces = correlate_pieces(voice, late, size=24_000, slack=96_000)
    assert pieces.peak > 0.99
    assert (pieces.lag, pieces.stretch) == (4_800, 19_200)


@pytest.mark.parametrize("other", ["noise", "backwards", "nothing"])
def test_what_is_another_sound_is_so_in_pieces(voice: bytes, other: str) -> None:
    heard = {
        "noise": noise(len(voice) // 2),
        "backwards": pack(array("h", reversed(unpack(voice)))),
        "nothing": bytes(len(voice)),
    }[other]
    assert correlate_pieces(voice, heard, size=24_000, slack=96_000).peak < 0.4
