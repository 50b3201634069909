"""The garbage collector of a process that serves.

It goes through every object that there is, while nobody is served: a third of a second with 5,000 sockets. Nearly all
that a server lets go of is free at once, without it. So it is given less to look at, and looks less often.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_OBJECTS = 10_000
"""So many more than have gone, and the collector looks at the new ones: in a millisecond or two. It looks at all of
them after a hundred times that; by default it would be after seven thousand objects."""


@contextmanager
def short_pauses() -> Iterator[None]:
    """Inside, collections are rare, and leave out whatever there was before. For a process of one's own."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
