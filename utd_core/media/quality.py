"""The sizes in which a simulcast video can be had."""

from __future__ import annotations

from enum import StrEnum


class VideoQuality(StrEnum):
    """The largest layer of a simulcast track that a participant wants. Sides are about the named part of those
    published; a track with fewer layers gives the nearest that it has."""

    LOW = "low"
    """A quarter of each side: thumbnails."""
    MEDIUM = "medium"
    """Half of each side."""
    HIGH = "high"
    """The size that was published; what everybody gets who wishes nothing."""
