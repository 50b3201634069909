"""Frames are due every 20 ms, and this process has other things to do besides."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SWITCH_S = 0.001


@contextmanager
def short_pauses() -> Iterator[None]:
    """Inside, neither the garbage collector nor the thread that draws holds frames up for long.

    What there is already (modules, mostly) is left out of every collection, which would take 50 ms otherwise; and the
    drawing thread hands the interpreter over after 1 ms instead of 5.
    """
    interval = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.unfreeze()
