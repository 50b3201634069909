"""Coming, being heard and going, again and again, and the server's death in the midst of it, leave nothing behind.

`make soak` does the same for 300 guests and 20 deaths.
"""

from __future__ import annotations

import pytest

from soaks.livekit import FIGURES, go_through
from soaks.watch import HOUR, Watch
from utd_livekit.server.local import LocalServer

GUESTS, DEATHS = 20, 2


@pytest.mark.heavy
async def test_twenty_guests_and_two_deaths_of_the_server_leave_nothing(server: LocalServer) -> None:
    watch = Watch(HOUR, FIGURES)
    await go_through(GUESTS, GUESTS // DEATHS, watch)
    assert len(watch.samples) == GUESTS
    assert [verdict for verdict in watch.verdicts() if not verdict.ok] == []
