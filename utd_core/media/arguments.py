"""What every backend takes from outside, checked where it comes in.

A plugin calls these before anything else, so that the same mistake is the same error on every backend.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import ErrorCode, InvalidFrame, InvalidInput, TooLarge, Unsupported
from ..model.identifiers import check_media_name
from ..model.permission import Grant, TrackSource
from .backend import ConnectOptions, PublishOptions
from .capabilities import Capabilities
from .checks import check_capacity as check_capacity  # noqa: PLC0414  # handed on to backends
from .checks import is_number
from .codec import VideoCodec
from .encryption import EncryptionKey
from .events import TrackKind
from .formats import AudioFormat, VideoFormat
from .frames import AudioFrame, VideoFrame
from .quality import VideoQuality

MAX_LABEL_BYTES = 1_000
MAX_METADATA_BYTES = 4_096
"""Of a participant's metadata in UTF-8. It is in every ticket, and everybody in a room has that of everybody."""
MAX_ATTRIBUTES = 64
MAX_ATTRIBUTES_BYTES = 4_096
"""Of a participant's attributes, names and values together, in UTF-8."""
RESERVED_ATTRIBUTES = "utd."
"""What the names of attributes begin with that backends set for themselves."""
MAX_TTL = 10 * 365 * 86_400
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check_room(value: Any) -> None:
    """Raise `InvalidInput` (invalid_name) unless it can name a room."""
    check_media_name(value, "room name", ErrorCode.INVALID_NAME)


def check_identity(value: Any) -> None:
    """Raise `InvalidInput` (invalid_identity) unless it can be an identity."""
    check_media_name(value, "identity", ErrorCode.INVALID_IDENTITY)


def check_label(value: Any, what: str) -> None:
    """Raise `InvalidInput` unless it is text that can go over a wire, of at most `MAX_LABEL_BYTES` in UTF-8."""
    size = _size(value, what)
    if size > MAX_LABEL_BYTES:
        raise InvalidInput(f"{what} has at most {MAX_LABEL_BYTES} bytes, got {size}")


def check_profile(
    *, name: str | None = None, metadata: str | None = None, attributes: Mapping[str, str] | None = None
) -> None:
    """Raise `InvalidInput` or `TooLarge` unless a participant can be described like that. None says nothing."""
    if name is not None:
        check_label(name, "the name of a participant")
    if metadata is not None:
        _check_sum(_text_size(metadata, "metadata"), MAX_METADATA_BYTES, "metadata")
    if attributes is not None:
        check_attributes(attributes)


def check_attributes(value: Any) -> None:
    """Raise `InvalidInput` or `TooLarge` unless it can be a participant's attributes, or a change of them."""
    if not isinstance(value, Mapping):
        raise InvalidInput(f"attributes must be a mapping of strings to strings, got {type(value).__name__}")
    if len(value) > MAX_ATTRIBUTES:
        raise TooLarge(f"a participant has at most {MAX_ATTRIBUTES} attributes, got {len(value)}")
    size = 0
    for key, text in value.items():
        size += _text_size(key, "the name of an attribute") + _text_size(text, f"attribute {key!r}")
        if not key or key.startswith(RESERVED_ATTRIBUTES):
            raise InvalidInput(
                f"the name of an attribute is not empty and does not begin with {RESERVED_ATTRIBUTES!r}, got {key!r}"
            )
    _check_sum(size, MAX_ATTRIBUTES_BYTES, "attributes, names and values together,")


def check_grant(value: Any) -> None:
    """Raise `InvalidInput` unless it is a grant."""
    if not isinstance(value, Grant):
        raise InvalidInput(f"grant must be a utd_core.model.permission.Grant, got {type(value).__name__}")


def check_limit(value: Any) -> None:
    """Raise `InvalidInput` unless it can limit a room's participants; None is no limit."""
    if value is not None and (type(value) is not int or not 1 <= value < 2**32):
        raise InvalidInput(f"max_participants must be a whole number of at least 1, got {value!r}")


def check_ttl(value: Any) -> None:
    """Raise `InvalidInput` unless it can be a ticket's time to live, in seconds."""
    if not is_number(value) or not 0 < value <= MAX_TTL:
        raise InvalidInput(f"ttl must be seconds above 0 and up to {MAX_TTL}, got {value!r}")


def check_connect(options: Any, backend: str, capabilities: Capabilities) -> None:
    """Raise `InvalidInput` unless a participant can connect with these options, and `Unsupported` for what this backend
    denies."""
    if not isinstance(options, ConnectOptions):
        raise InvalidInput(f"connect takes ConnectOptions, got {type(options).__name__}")
    check_capacity(options.event_capacity, "event_capacity")
    if not 0 < options.deadline < math.inf:
        raise InvalidInput(f"deadline must be seconds above 0, got {options.deadline!r}")
    if options.e2ee is None:
        return
    if not isinstance(options.e2ee, EncryptionKey):
        raise InvalidInput(f"e2ee takes an EncryptionKey, not {type(options.e2ee).__name__}")
    if not capabilities.e2ee:
        raise Unsupported(f"backend {backend!r} declares no `e2ee`: it cannot encrypt from end to end")


def check_quality(value: Any) -> None:
    """Raise `InvalidInput` unless it is a quality."""
    if not isinstance(value, VideoQuality):
        raise InvalidInput(f"quality must be VideoQuality.LOW, MEDIUM or HIGH, got {value!r}")


def check_payload(payload: Any, to: Collection[str] | None, topic: Any, *, limit: int) -> None:
    """Raise `InvalidInput` or `TooLarge` unless it can be sent as data. `limit`: bytes."""
    if type(payload) is not bytes:
        raise InvalidInput(f"data must be bytes, got {type(payload).__name__}")
    if len(payload) > limit:
        raise TooLarge(f"a data message holds at most {limit} bytes, got {len(payload)}; split it")
    check_label(topic, "a topic")
    if isinstance(to, str):
        raise InvalidInput(f"'to' is a collection of identities; write [{to!r}]")


def check_publish(options: Any, backend: str, capabilities: Capabilities) -> None:
    """Raise `InvalidInput` unless a track can be published with these options, and `Unsupported` for what this backend
    denies."""
    if not isinstance(options, PublishOptions):
        raise InvalidInput(f"publish takes PublishOptions, got {type(options).__name__}")
    if not isinstance(options.source, TrackSource):
        raise InvalidInput(f"source must be a TrackSource, got {options.source!r}")
    check_label(options.name, "a track's name")
    if TrackKind.of(options.source) is TrackKind.AUDIO:
        AudioFormat(options.sample_rate, options.channels)
    else:
        VideoFormat(options.width, options.height, options.framerate)
    if options.bitrate is not None and (type(options.bitrate) is not int or options.bitrate < 1):
        raise InvalidInput(f"bitrate must be a whole number of bit/s above 0, got {options.bitrate!r}")
    codec = options.codec
    if codec is None:
        return
    if not isinstance(codec, VideoCodec):
        raise InvalidInput(f"codec must be a VideoCodec, got {codec!r}")
    if TrackKind.of(options.source) is TrackKind.AUDIO:
        raise InvalidInput(f"{options.source} is sound, which has no video codec")
    if codec not in capabilities.video_codecs:
        known = ", ".join(sorted(each.name for each in capabilities.video_codecs)) or "no choice of codecs"
        raise Unsupported(f"backend {backend!r} has no {codec.name} among its `video_codecs`: {known}")


def check_sound(frame: Any, sample_rate: int, channels: int) -> None:
    """Raise `InvalidFrame` unless it is audio that a track of this rate (Hz) and channel count takes."""
    if type(frame) is not AudioFrame or frame.sample_rate != sample_rate or frame.channels != channels:
        raise InvalidFrame(
            f"this track takes audio of {sample_rate} Hz with {channels} channel(s), got {_described(frame)}; "
            "publish with other options or convert"
        )


def check_picture(frame: Any, width: int, height: int) -> None:
    """Raise `InvalidFrame` unless it is video that a track of this size (pixels) takes."""
    if type(frame) is not VideoFrame or frame.width != width or frame.height != height:
        raise InvalidFrame(
            f"this track takes video of {width}x{height}, got {_described(frame)}; publish with other options or scale"
        )


def _described(frame: object) -> str:
    match frame:
        case AudioFrame():
            return f"audio of {frame.sample_rate} Hz with {frame.channels} channel(s)"
        case VideoFrame():
            return f"video of {frame.width}x{frame.height}"
        case _:
            return type(frame).__name__


def _text_size(value: Any, what: str) -> int:
    """Bytes in UTF-8. Raises `InvalidInput` unless it is text, in which no control character but tab and line break has
    a place: on a wire of JSON it has six times its size."""
    size = _size(value, what)
    if _CONTROL.search(value):
        raise InvalidInput(f"{what} must be text without control characters; encode what is binary")
    return size


def _size(value: Any, what: str) -> int:
    """Bytes in UTF-8. Raises `InvalidInput` unless it is a string that has any."""
    if not isinstance(value, str):
        raise InvalidInput(f"{what} must be a string, got {type(value).__name__}")
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"{what} must be text that UTF-8 can hold, got {value[:20]!r}") from None


def _check_sum(size: int, limit: int, what: str) -> None:
    if size > limit:
        raise TooLarge(f"{what} of a participant may have {limit} bytes, got {size}")
