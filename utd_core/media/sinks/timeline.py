"""Where a frame's samples belong in a recording: gaps become silence, what comes twice is left out."""

from __future__ import annotations

from ...errors import InvalidFrame
from ..frames import AudioFrame

LONGEST_GAP_S = 600


class Timeline:
    """The sample position of one audio stream, which has no holes.

    A frame that is early, or late by less than half its length, simply follows the last one: that is jitter. A
    later one is preceded by silence up to its exact place, so errors never add up. One whose timestamp is not
    after the last one's, or whose whole time has been written already, came twice or too late, and is dropped.
    """

    __slots__ = ("_last_us", "dropped", "filled", "position", "sample_rate")

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.position = 0
        """Samples per channel written so far."""
        self.filled = 0
        """Samples of silence among them."""
        self.dropped = 0
        """Frames that had no place any more."""
        self._last_us = -1

    def place(self, frame: AudioFrame) -> int | None:
        """Samples of silence that go before this frame; None when it is dropped.

        Raises `InvalidFrame` for a timestamp more than ten minutes ahead of the last sample.
        """
        samples = frame.samples_per_channel
        gap = round(frame.timestamp_us * self.sample_rate / 1_000_000) - self.position
        if frame.timestamp_us <= self._last_us or gap <= -samples:
            self.dropped += 1
            return None
        if 2 * gap < samples:
            gap = 0
        if gap > LONGEST_GAP_S * self.sample_rate:
            raise InvalidFrame(
                f"the timestamp is {gap / self.sample_rate:.0f} s after the end of the recording; "
                "stamp frames from the recording's beginning, as record() does"
            )
        self._last_us = frame.timestamp_us
        self.position += gap + samples
        self.filled += gap
        return gap
