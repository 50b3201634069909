"""What plugin authors and applications test with: virtual time, named faults, the contract suite."""

from __future__ import annotations

from ..media.faults import Fault
from .clock import VirtualClock

__all__ = ["Fault", "VirtualClock"]
