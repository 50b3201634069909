"""Work of an event loop that goes on in a thread of its own, counted.

Whoever moves time by hand (`utd_core.testing.VirtualClock`) must not move it while such work is under way, and cannot
see it otherwise.
"""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

_under_way: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()


def work_begins(loop: asyncio.AbstractEventLoop) -> None:
    """Call on the loop's thread when work is handed out."""
    _under_way[loop] = _under_way.get(loop, 0) + 1


def work_ends(loop: asyncio.AbstractEventLoop) -> None:
    """Call on the loop's thread when its result has come back."""
    _under_way[loop] -= 1


def works_outside(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether any such work is under way."""
    return _under_way.get(loop, 0) > 0
