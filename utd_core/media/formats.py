"""What a stream of frames looks like: checked once where a source or sink is made, not once a frame."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InvalidInput
from .checks import is_number
from .frames import BYTES_PER_SAMPLE, MAX_AUDIO_FRAME_MS, MAX_CHANNELS, MAX_VIDEO_SIDE, SAMPLE_RATES

MAX_FRAMERATE = 240.0


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Interleaved int16 PCM. `sample_rate`: Hz. `channels`: 1 or 2. Raises `InvalidInput`."""

    sample_rate: int = 48_000
    channels: int = 1

    def __post_init__(self) -> None:
        if type(self.sample_rate) is not int or self.sample_rate not in SAMPLE_RATES:
            raise InvalidInput(f"sample_rate must be one of {sorted(SAMPLE_RATES)} Hz, got {self.sample_rate!r}")
        if type(self.channels) is not int or not 1 <= self.channels <= MAX_CHANNELS:
            raise InvalidInput(f"channels must be 1 or {MAX_CHANNELS}, got {self.channels!r}")

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample of all channels."""
        return BYTES_PER_SAMPLE * self.channels

    def samples_in(self, milliseconds: int) -> int:
        """Samples per channel in a frame of so many ms. Raises `InvalidInput` when they are not whole."""
        if type(milliseconds) is not int or not 0 < milliseconds <= MAX_AUDIO_FRAME_MS:
            raise InvalidInput(f"frame_ms must be 1 to {MAX_AUDIO_FRAME_MS} ms, got {milliseconds!r}; 20 is usual")
        samples, rest = divmod(self.sample_rate * milliseconds, 1_000)
        if rest:
            raise InvalidInput(
                f"{milliseconds} ms at {self.sample_rate} Hz is no whole number of samples; use 10 or 20 ms"
            )
        return samples

    def __str__(self) -> str:
        return f"{self.sample_rate} Hz {'mono' if self.channels == 1 else 'stereo'}"


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """`width`, `height`: pixels, even. `framerate`: frames per second. Raises `InvalidInput`."""

    width: int = 640
    height: int = 480
    framerate: float = 30.0

    def __post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height)):
            if type(side) is not int or not 2 <= side <= MAX_VIDEO_SIDE or side % 2:
                raise InvalidInput(f"{name} must be an even number of pixels, 2 to {MAX_VIDEO_SIDE}, got {side!r}")
        rate = self.framerate
        if not is_number(rate) or not 0 < rate <= MAX_FRAMERATE:
            raise InvalidInput(f"framerate must be over 0 and at most {MAX_FRAMERATE:g} frames/s, got {rate!r}")

    def __str__(self) -> str:
        return f"{self.width}x{self.height} at {self.framerate:g} frames/s"
