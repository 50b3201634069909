"""int16 PCM without numpy: samples of a byte string, and exact frames from byte strings of any length."""

from __future__ import annotations

import sys
from array import array

_SWAP = sys.byteorder == "big"


def unpack(data: bytes) -> array[int]:
    """The samples of little-endian int16 PCM; `data` must hold whole samples."""
    samples = array("h", data)
    if _SWAP:
        samples.byteswap()
    return samples


def pack(samples: array[int]) -> bytes:
    """Little-endian int16 PCM of the samples."""
    if _SWAP:
        samples = samples[:]
        samples.byteswap()
    return samples.tobytes()


class PcmSlicer:
    """Cuts a byte stream into frames of exactly `frame_bytes`; what is left over waits for the next bytes.

    Nothing is lost or reordered: the frames, and then the remainder, are the bytes that were pushed.
    """

    __slots__ = ("_rest", "frame_bytes")

    def __init__(self, frame_bytes: int) -> None:
        if frame_bytes < 1:
            raise ValueError(f"frame_bytes must be at least 1, got {frame_bytes}")
        self.frame_bytes = frame_bytes
        self._rest = b""

    def push(self, data: bytes) -> list[bytes]:
        """The frames that are complete now, oldest first."""
        size = self.frame_bytes
        if self._rest:
            data = self._rest + data
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        return [data[start : start + size] for start in range(0, whole, size)]

    @property
    def remainder(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._rest)

    def flush(self) -> bytes | None:
        """The last, incomplete frame filled up with silence; None when nothing is left over."""
        if not self._rest:
            return None
        last, self._rest = self._rest.ljust(self.frame_bytes, b"\0"), b""
        return last
