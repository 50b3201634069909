"""Where a server on this machine says its media are, with another port instead."""

from __future__ import annotations

from .line import LOOPBACK, Line

END_OF_HEAD = b"\r\n\r\n"
_SHORTEST = 2
_WIDER = {126: 2, 127: 8}
"""Bytes that hold the length of a frame, by what stands where short ones have theirs (RFC 6455)."""


class Diversion:
    """What a server says on a web socket, with the far port of a line exchanged for the near one, which has as many
    digits: both were given by the system."""

    def __init__(self, line: Line) -> None:
        self._told, self._instead = (f" {LOOPBACK} {port} typ ".encode() for port in (line.far_port, line.near_port))
        self._said = bytearray()
        self._has_begun = False

    def of(self, said: bytes) -> bytes:
        """As much of all that was said as are whole messages."""
        self._said += said
        whole = bytearray()
        while length := self._next():
            whole += self._said[:length].replace(self._told, self._instead)
            del self._said[:length]
        return bytes(whole)

    def _next(self) -> int:
        """Bytes of the next part: the head of the answer, then frames (RFC 6455); 0 where it is not all there."""
        if not self._has_begun:
            end = self._said.find(END_OF_HEAD) + len(END_OF_HEAD)
            self._has_begun = end >= len(END_OF_HEAD)
            return end if self._has_begun else 0
        if len(self._said) < _SHORTEST:
            return 0
        # The top bit says that it is masked, which no server's are.
        short = self._said[1] & 127
        head = _SHORTEST + _WIDER.get(short, 0)
        if len(self._said) < head:
            return 0
        length = head + (int.from_bytes(self._said[_SHORTEST:head]) if short in _WIDER else short)
        return length if len(self._said) >= length else 0
