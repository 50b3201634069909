"""Sound or pictures: known by what a source has, at the cost of one look for each class."""

from __future__ import annotations

import gc
import weakref
from typing import Any, assert_type

import pytest

from utd_core.media import (
    AudioFrame,
    AudioSource,
    PushAudioSource,
    PushVideoSource,
    SilenceAudioSource,
    TestPatternVideoSource,
    VideoSource,
    publish_options,
)
from utd_core.media.sources.kinds import is_audio_source, is_video_source
from utd_core.model.permission import TrackSource


class Own:
    """An application's source, without a base class."""

    looks = 0

    def __init__(self) -> None:
        self.sample_rate = 16_000
        self.frame_ms = 20

    @property
    def channels(self) -> int:
        type(self).looks += 1
        return 1

    async def read(self) -> AudioFrame | None:
        return None

    async def aclose(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("source", [SilenceAudioSource(), PushAudioSource(), Own()])
def test_sound_is_sound(source: Any) -> None:
    assert (is_audio_source(source), is_video_source(source)) == (True, False)


@pytest.mark.parametrize("source", [TestPatternVideoSource(), PushVideoSource()])
def test_pictures_are_pictures(source: Any) -> None:
    assert (is_audio_source(source), is_video_source(source)) == (False, True)


@pytest.mark.parametrize("thing", [None, "voice.wav", b"", object(), AudioSource, SilenceAudioSource])
def test_anything_else_is_neither(thing: object) -> None:
    assert not is_audio_source(thing)
    assert not is_video_source(thing)


def test_each_class_is_looked_at_once() -> None:
    class Mine(Own):
        looks = 0

    for _ in range(3):
        assert is_audio_source(Mine())
        assert not is_video_source(Mine())
    assert Mine.looks <= 1


def test_a_class_that_nobody_uses_any_more_is_forgotten() -> None:
    class Brief(Own):
        pass

    assert is_audio_source(Brief())
    forgotten = weakref.ref(Brief)
    del Brief
    gc.collect()
    assert forgotten() is None


def test_a_type_checker_knows_what_is_left() -> None:
    source: AudioSource | VideoSource = Own() if len(TrackSource) else TestPatternVideoSource()
    if is_audio_source(source):
        assert_type(source.sample_rate, int)
    else:
        assert_type(source.framerate, float)
    assert publish_options(source, TrackSource.MICROPHONE).sample_rate == 16_000
