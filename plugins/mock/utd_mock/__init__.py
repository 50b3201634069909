"""An in-memory media backend: both halves, several rooms, real frames, every named fault, no network.

It is an ordinary plugin (entry point group `utd`, name `mock`) and passes the same contract suite as any other.
"""

from __future__ import annotations

from utd_core.version import __version__

from .backend import MockBackend
from .server import MockServer
from .snapshots import (
    ControlCall,
    LayerSnapshot,
    ParticipantSnapshot,
    RoomSnapshot,
    SubscriptionSnapshot,
    TrackSnapshot,
)

__all__ = [
    "ControlCall",
    "LayerSnapshot",
    "MockBackend",
    "MockServer",
    "ParticipantSnapshot",
    "RoomSnapshot",
    "SubscriptionSnapshot",
    "TrackSnapshot",
    "__version__",
]
