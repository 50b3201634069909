"""A picture without a camera: moving colour bars that carry their own frame number."""

from __future__ import annotations

from itertools import pairwise

from ...errors import InvalidInput
from ..frames import PixelFormat, VideoFrame
from .base import VideoSourceBase, frames_in

COUNTER_BITS = 16
SMALLEST_SIDE = 2 * COUNTER_BITS

# 75 % colour bars in BT.601, limited range: (Y, U, V).
_BARS = (
    (180, 128, 128),  # white
    (162, 44, 142),  # yellow
    (131, 156, 44),  # cyan
    (112, 72, 58),  # green
    (84, 184, 198),  # magenta
    (65, 100, 212),  # red
    (35, 212, 114),  # blue
    (16, 128, 128),  # black
)
_BLACK, _WHITE, _NEUTRAL = 16, 235, 128
_STEP = 4
"""Pixels that the bars move each frame; even, so that chroma moves by whole samples."""


class TestPatternVideoSource(VideoSourceBase):
    """Colour bars that move 4 pixels to the left each frame, I420.

    The upper quarter holds the frame's number (modulo 65,536) as 16 black or white blocks over the same blocks
    inverted: `read_counter` reads it back, also after a codec or a change of size. Ends after `seconds` (rounded
    up to whole frames), or never. Raises `InvalidInput` for odd sides or sides under 32 pixels.
    """

    __test__ = False  # pytest: this is not a test, in spite of its name

    def __init__(
        self, width: int = 640, height: int = 480, framerate: float = 30.0, *, seconds: float | None = None
    ) -> None:
        super().__init__(width, height, framerate)
        if min(width, height) < SMALLEST_SIDE:
            raise InvalidInput(f"a test pattern needs sides of {SMALLEST_SIDE} pixels or more, got {width}x{height}")
        self._left = frames_in(seconds, framerate)
        self._rows = _digit_rows(height)
        # Each row twice in a line: a bar pattern shifted by n pixels is a slice from n on.
        self._luma = bytes(_BARS[x * len(_BARS) // width][0] for x in range(width)) * 2
        half = width // 2
        self._blue = bytes(_BARS[x * len(_BARS) // half][1] for x in range(half)) * 2
        self._red = bytes(_BARS[x * len(_BARS) // half][2] for x in range(half)) * 2
        self._neutral = bytes([_NEUTRAL]) * half
        self._blocks = [(bytes([_BLACK]) * size, bytes([_WHITE]) * size) for size in _block_widths(width)]

    async def read(self) -> VideoFrame | None:
        self._check_open()
        if self._left <= 0:
            return None
        self._left -= 1
        return self._stamp(self._render(self._position))

    def _render(self, number: int) -> bytes:
        width, half, rows = self.width, self.width // 2, self._rows
        shift = number * _STEP % width
        digits = b"".join([block[number >> bit & 1] for bit, block in enumerate(self._blocks)])
        inverted = b"".join([block[~number >> bit & 1] for bit, block in enumerate(self._blocks)])
        luma = self._luma[shift : shift + width]
        blue, red = (plane[shift // 2 : shift // 2 + half] for plane in (self._blue, self._red))
        below = self.height - 2 * rows
        # Row by row into one allocation: fresh pages for whole planes would cost more than the copying.
        lines = [digits] * rows + [inverted] * rows + [luma] * below
        for chroma in (blue, red):
            lines += [self._neutral] * rows + [chroma] * (below // 2)
        return b"".join(lines)


def read_counter(frame: VideoFrame) -> int | None:
    """The number in a frame of the test pattern, of any size, I420 or RGBA; None when there is none.

    Every block must disagree with its inverted twin, so noise and other pictures are not taken for a number.
    """
    if min(frame.width, frame.height) < SMALLEST_SIDE:
        return None
    number = 0
    for bit in range(COUNTER_BITS):
        # Centres as fractions of the picture, so that a scaled one reads the same.
        x = (2 * bit + 1) * frame.width // (2 * COUNTER_BITS)
        upper, lower = _brightness(frame, x, frame.height // 16), _brightness(frame, x, frame.height * 3 // 16)
        if abs(upper - lower) < (_WHITE - _BLACK) // 2:
            return None
        number |= (upper > lower) << bit
    return number


def _brightness(frame: VideoFrame, x: int, y: int) -> int:
    """Luma, or green for RGBA, of one pixel."""
    at = y * frame.width + x
    return frame.data[at] if frame.format is PixelFormat.I420 else frame.data[4 * at + 1]


def _digit_rows(height: int) -> int:
    """Rows of one line of blocks: an eighth of the picture or a little more, even for the sake of chroma."""
    return 2 * -(-height // 16)


def _block_widths(width: int) -> list[int]:
    edges = [bit * width // COUNTER_BITS for bit in range(COUNTER_BITS + 1)]
    return [right - left for left, right in pairwise(edges)]
