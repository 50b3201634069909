"""The layers of a simulcast track: smaller pictures of the same video, made only for those who receive them.

A layer is one outlet of its track. It makes its picture once for each frame, however many take it, by leaving out
columns and rows: fast, and flat fields keep their brightness.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping

from utd_core.media.backend import PublishOptions
from utd_core.media.frames import Frame, PixelFormat, VideoFrame
from utd_core.media.quality import VideoQuality

from .snapshots import LayerSnapshot

_EVERY: Mapping[VideoQuality, int] = {VideoQuality.HIGH: 1, VideoQuality.MEDIUM: 2, VideoQuality.LOW: 4}
"""Of so many columns and rows a layer keeps one."""
_SMALLEST_SIDE = 2


class Layer:
    """`every`: it keeps one of so many columns and rows. `outlets`: where its pictures go; `frames`: how many were
    made."""

    __slots__ = ("every", "frames", "height", "outlets", "width")

    def __init__(self, width: int, height: int, every: int) -> None:
        self.every = every
        self.width = _even(width, every)
        self.height = _even(height, every)
        self.frames = 0
        self.outlets: tuple[Callable[[Frame], None], ...] = ()

    def send(self, frame: Frame) -> None:
        """Make the picture of one frame and pass it on."""
        if self.every > 1 and isinstance(frame, VideoFrame):
            frame = self.reduce(frame)
        self.frames += 1
        for outlet in self.outlets:
            outlet(frame)

    def reduce(self, frame: VideoFrame) -> VideoFrame:
        """The frame in this layer's size."""
        width, height, every = self.width, self.height, self.every
        if frame.format is PixelFormat.RGBA:
            parts = _thinned(array("I", frame.data), 0, frame.width, width, height, every)
        else:
            luma = frame.width * frame.height
            parts = _thinned(frame.data, 0, frame.width, width, height, every)
            for start in (luma, luma + luma // 4):
                parts += _thinned(frame.data, start, frame.width // 2, width // 2, height // 2, every)
        return VideoFrame(b"".join(parts), width, height, frame.format, frame.timestamp_us)

    def snapshot(self) -> LayerSnapshot:
        return LayerSnapshot(self.width, self.height, self.frames)


class Simulcast:
    """The layers of one track, largest first: as many as its size allows, at least one."""

    __slots__ = ("_dynacast", "layers")

    def __init__(self, options: PublishOptions, *, dynacast: bool) -> None:
        self.layers = tuple(
            Layer(options.width, options.height, every)
            for every in _EVERY.values()
            if every == 1 or min(options.width, options.height) // every >= _SMALLEST_SIDE
        )
        self._dynacast = dynacast

    def layer_of(self, quality: VideoQuality) -> Layer:
        """The layer that serves a wish: the smallest there is that is as large, or the smallest of all."""
        return next((layer for layer in self.layers if layer.every == _EVERY[quality]), self.layers[-1])

    def route(self, takers: Mapping[Layer, list[Callable[[Frame], None]]]) -> list[Callable[[Frame], None]]:
        """The outlets of the layers that have to be made; without dynacast all of them are, taken or not."""
        for layer in self.layers:
            layer.outlets = tuple(takers.get(layer, ()))
        return [layer.send for layer in self.layers if layer.outlets or not self._dynacast]


def _even(side: int, every: int) -> int:
    return side if every == 1 else side // every & ~1


def _thinned(
    pixels: bytes | array[int], start: int, stride: int, width: int, height: int, every: int
) -> list[bytes | array[int]]:
    """Rows of `width` pixels, `height` of them, from a plane that begins at `start` and has rows of `stride`."""
    # Slices of bytes and arrays: several times as fast as those of a memoryview.
    reach, step = width * every, stride * every
    return [pixels[row : row + reach : every] for row in range(start, start + height * step, step)]
