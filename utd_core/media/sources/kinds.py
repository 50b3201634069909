"""Sound or pictures: what a source gives, whatever its class.

A source needs no base class, so it is known by its methods and attributes. To look for those takes 25 us, and a source
is published whenever somebody takes a seat; so the look is taken once for each class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from .base import AudioSource, VideoSource

if TYPE_CHECKING:
    from typing_extensions import TypeIs

_sound: WeakKeyDictionary[type, bool] = WeakKeyDictionary()
_pictures: WeakKeyDictionary[type, bool] = WeakKeyDictionary()


def is_audio_source(source: object) -> TypeIs[AudioSource]:
    """Whether it has what an `AudioSource` has. All objects of one class are taken to be alike."""
    kind = type(source)
    answer = _sound.get(kind)
    if answer is None:
        answer = _sound[kind] = isinstance(source, AudioSource) and not isinstance(source, type)
    return answer


def is_video_source(source: object) -> TypeIs[VideoSource]:
    """Whether it has what a `VideoSource` has. All objects of one class are taken to be alike."""
    kind = type(source)
    answer = _pictures.get(kind)
    if answer is None:
        answer = _pictures[kind] = isinstance(source, VideoSource) and not isinstance(source, type)
    return answer
