"""What of the other side's SDP is taken at all: checked before aiortc reads it.

The other peer is somebody else's program. Its description must have the sections that this protocol has, in their
order, and stay within bounds that no honest one reaches; then a parser written for friends gets nothing worse.
"""

from __future__ import annotations

import re

from utd_core.errors import InvalidInput
from utd_core.media.events import TrackKind

from .capabilities import SOURCES
from .protocol import MAX_SDP

KINDS = (*(TrackKind.of(source).value for source in SOURCES), "application")
"""The media sections, in order."""

MAX_LINES = 1_000
MAX_LINE = 2_000
MAX_CANDIDATES = 250
"""Each address of a machine comes five times, once in each section."""

_PRINTABLE = re.compile(r"[\x20-\x7e\u00a0-\uffff]*\Z")
_CANDIDATE = re.compile(
    r"candidate:\S{1,64} [12] (udp|tcp) \d{1,10} [0-9A-Za-z.:%-]{1,128} \d{1,5} "
    r"typ (host|srflx|prflx|relay)( [\x21-\x7e]+)*\Z",
    re.IGNORECASE,
)
_NEEDED = ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:", "a=mid:")


def check_sdp(sdp: str) -> None:
    """Raise `InvalidInput` unless it has the shape of a description of this protocol."""
    if len(sdp) > MAX_SDP:
        raise _wrong(f"it has {len(sdp)} characters, and at most {MAX_SDP} are read")
    lines = sdp.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > MAX_LINES:
        raise _wrong(f"it has {len(lines)} lines, and at most {MAX_LINES} are read")
    for line in lines:
        if len(line) > MAX_LINE or line[1:2] != "=" or not _PRINTABLE.match(line):
            raise _wrong(f"{line[:40]!r} is no line of SDP")
    if lines[0] != "v=0":
        raise _wrong("it does not begin with v=0")
    _check_sections(lines)
    candidates = [line[2:] for line in lines if line.startswith("a=candidate:")]
    if len(candidates) > MAX_CANDIDATES:
        raise _wrong(f"it has {len(candidates)} candidates, and at most {MAX_CANDIDATES} are tried")
    for candidate in candidates:
        check_candidate(candidate)


def check_candidate(candidate: str) -> None:
    """Raise `InvalidInput` unless it is an ICE candidate."""
    if len(candidate) > 500 or not _CANDIDATE.match(candidate):
        raise InvalidInput(f"{candidate[:60]!r} is no ICE candidate")


def _check_sections(lines: list[str]) -> None:
    kinds = tuple(line[2:].split(" ", 1)[0] for line in lines if line.startswith("m="))
    if kinds != KINDS:
        raise _wrong(f"its sections are {', '.join(kinds[:10]) or 'none'}, and must be {', '.join(KINDS)}")
    if any(line.startswith("a=inactive") for line in lines):
        raise _wrong("a section is inactive; each is offered, and used when there is a track")
    first = next(index for index, line in enumerate(lines) if line.startswith("m="))
    session, sections = lines[:first], "\n".join(lines[first:]).split("\nm=")
    if not any(line.startswith("a=group:BUNDLE ") for line in session):
        raise _wrong("its sections are not bundled")
    for number, section in enumerate(sections):
        inside = [*session, *section.split("\n")]
        missing = [
            need for need in _NEEDED if not any(line.startswith(need) and len(line) > len(need) for line in inside)
        ]
        if missing:
            raise _wrong(f"section {number} has no {missing[0][2:-1]}")


def _wrong(why: str) -> InvalidInput:
    return InvalidInput(f"the other side's description is refused: {why}")
