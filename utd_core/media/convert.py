"""Frames from one shape to another: mono and stereo, I420 and RGBA.

Colour follows BT.601 with limited range (Y 16 to 235, U and V 16 to 240), which is what WebRTC codecs carry.
The audio half is plain Python; the video half needs numpy (`pip install "utd-core[av]"`).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from ..errors import InvalidFrame
from .extras import needs_extra
from .frames import AudioFrame, PixelFormat, VideoFrame
from .pcm import pack, unpack

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def to_stereo(frame: AudioFrame) -> AudioFrame:
    """The same sound on both channels; a stereo frame is returned as it is."""
    if frame.channels == 2:
        return frame
    mono = unpack(frame.data)
    both = array("h", bytes(4 * len(mono)))
    both[0::2] = mono
    both[1::2] = mono
    return AudioFrame(pack(both), frame.sample_rate, 2, frame.timestamp_us)


def to_mono(frame: AudioFrame) -> AudioFrame:
    """The mean of both channels, rounded down; a mono frame is returned as it is."""
    if frame.channels == 1:
        return frame
    both = unpack(frame.data)
    mono = array("h", [(left + right) >> 1 for left, right in zip(both[0::2], both[1::2], strict=True)])
    return AudioFrame(pack(mono), frame.sample_rate, 1, frame.timestamp_us)


def to_rgba(frame: VideoFrame) -> VideoFrame:
    """I420 to RGBA, opaque; an RGBA frame is returned as it is. Raises missing_extra without numpy."""
    if frame.format is PixelFormat.RGBA:
        return frame
    with needs_extra("to_rgba"):
        import numpy as np
    height, width = frame.height, frame.width
    luma, blue, red = (np.frombuffer(plane, np.uint8) for plane in frame.planes)
    y = (luma.reshape(height, width).astype(np.float32) - 16.0) * (255.0 / 219.0)
    u, v = (_upsample(plane.reshape(height // 2, width // 2).astype(np.float32) - 128.0) for plane in (blue, red))
    rgba = np.empty((height, width, 4), np.uint8)
    rgba[..., 0] = _to_byte(y + 1.596027 * v)
    rgba[..., 1] = _to_byte(y - 0.391762 * u - 0.812968 * v)
    rgba[..., 2] = _to_byte(y + 2.017232 * u)
    rgba[..., 3] = 255
    return VideoFrame(rgba.tobytes(), width, height, PixelFormat.RGBA, frame.timestamp_us)


def to_i420(frame: VideoFrame) -> VideoFrame:
    """RGBA to I420, alpha ignored; an I420 frame is returned as it is.

    Raises `InvalidFrame` for odd sides, which I420 does not have, and missing_extra without numpy.
    """
    if frame.format is PixelFormat.I420:
        return frame
    height, width = frame.height, frame.width
    if width % 2 or height % 2:
        raise InvalidFrame(f"I420 needs even sides, got {width}x{height}; crop one row or column")
    with needs_extra("to_i420"):
        import numpy as np
    rgba = np.frombuffer(frame.data, np.uint8).reshape(height, width, 4).astype(np.float32)
    r, g, b = rgba[..., 0], rgba[..., 1], rgba[..., 2]
    y = 16.0 + 0.256788 * r + 0.504129 * g + 0.097906 * b
    # One chroma sample stands for four pixels: it is the chroma of their mean colour.
    r, g, b = (_halve(plane) for plane in (r, g, b))
    u = 128.0 - 0.148223 * r - 0.290993 * g + 0.439216 * b
    v = 128.0 + 0.439216 * r - 0.367788 * g - 0.071427 * b
    data = b"".join(_to_byte(plane).tobytes() for plane in (y, u, v))
    return VideoFrame(data, width, height, PixelFormat.I420, frame.timestamp_us)


def _to_byte(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return (plane + 0.5).clip(0, 255).astype("uint8")


def _upsample(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return plane.repeat(2, axis=0).repeat(2, axis=1)


def _halve(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    height, width = plane.shape
    means: npt.NDArray[np.float32] = plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return means
