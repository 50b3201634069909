"""Opus, encoded here and given to aiortc as packets.

aiortc encodes by itself too: always stereo, at 96 kbit/s, and for each frame it computes an audio level sample by
sample in Python, which takes as long as the encoding. A packet passes it as it is.
"""

from __future__ import annotations

import fractions
from typing import Any

import av
from av.audio.codeccontext import AudioCodecContext

from .capabilities import SAMPLE_RATE

PIECE_SAMPLES = SAMPLE_RATE // 50
"""Samples per channel in a piece of 20 ms, which makes one packet."""

BITRATES = {1: 48_000, 2: 96_000}
"""Bit/s of mono and stereo, where nobody asks for another."""

TIME_BASE = fractions.Fraction(1, SAMPLE_RATE)
LAYOUTS = {1: "mono", 2: "stereo"}


class OpusEncoder:
    """Pieces of one channel count into packets, one for one."""

    def __init__(self, channels: int, bitrate: int | None) -> None:
        self.channels = channels
        self.bitrate = bitrate
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.bit_rate = bitrate or BITRATES[channels]
        codec.format = "s16"
        codec.layout = LAYOUTS[channels]
        codec.sample_rate = SAMPLE_RATE
        codec.time_base = TIME_BASE
        codec.options = {"application": "voip"}
        self._codec = codec
        self._position = 0

    def encode(self, piece: bytes, pts: int) -> av.Packet[Any]:
        """The packet of a piece; runs in a thread. `pts`: samples."""
        frame = av.AudioFrame(format="s16", layout=LAYOUTS[self.channels], samples=PIECE_SAMPLES)
        frame.planes[0].update(piece)
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = TIME_BASE
        # The encoder counts for itself: it minds pauses, and the network's timestamps are nothing to it.
        frame.pts = self._position
        self._position += PIECE_SAMPLES
        packet = av.Packet(b"".join(bytes(part) for part in self._codec.encode(frame)))
        packet.pts = pts
        packet.time_base = TIME_BASE
        return packet
