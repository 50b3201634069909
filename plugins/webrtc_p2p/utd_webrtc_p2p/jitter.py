"""Sound in order as it comes, without waiting where there is nothing to wait for.

aiortc holds back four packets of sound (80 ms) before it gives the first, and forever after; once one is lost it waits
for twelve more, and holds those back too. Nothing is played here, so there is no pause to be filled: a packet goes on
at once, and one that is missing is waited for until `PATIENCE` later ones are there. Where a release of aiortc keeps
its buffer in another way, that is left alone, and works as it does there.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import MAX_MISORDER, JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add

PATIENCE = 4
"""Packets that come after a missing one, until it is given up."""

_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_CAPACITY = 16
_BEHIND = 1 << 15
"""Numbers of packets begin again after 65,535: those from here on are older ones."""


class SoundBuffer(JitterBuffer):
    """For one stream of sound, of which each packet is complete in itself."""

    def __init__(self) -> None:
        super().__init__(capacity=_CAPACITY)

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take a packet; the one that may go on now, if there is one (the flag is for pictures)."""
        number = packet.sequence_number
        if self._origin is None:
            self._origin = number
        ahead = uint16_add(number, -self._origin)
        if ahead >= _BEHIND and uint16_add(self._origin, -number) < MAX_MISORDER:
            return False, None
        if ahead >= self.capacity:
            # Too many are missing to hope for them, or it is another stream.
            self.remove(self.capacity)
            self._origin, ahead = number, 0
        self._packets[number % self.capacity] = packet
        if ahead >= PATIENCE:
            while self._packets[self._origin % self.capacity] is None:
                self.remove(1)
        due = self._packets[self._origin % self.capacity]
        if due is None:
            return False, None
        self.remove(1)
        return False, JitterFrame(data=due._data, timestamp=due.timestamp)  # type: ignore[attr-defined]  # set by the receiver


def shorten(receivers: Iterable[RTCRtpReceiver]) -> None:
    """Have these receivers hold back no more sound than they must."""
    for receiver in receivers:
        buffer = getattr(receiver, _BUFFER, None)
        if isinstance(buffer, JitterBuffer) and not buffer._is_video:
            setattr(receiver, _BUFFER, SoundBuffer())
