"""What plugin authors and applications test with: virtual time, named faults, the contract suite."""

from __future__ import annotations

from ..media.faults import Fault
from .blocking import Watch
from .clock import VirtualClock
from .fixtures import Eventually, InjectFault, MakeClient

__all__ = ["Eventually", "Fault", "InjectFault", "MakeClient", "VirtualClock", "Watch"]
