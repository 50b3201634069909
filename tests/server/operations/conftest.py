from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from utd_core.testing import VirtualClock

from .nodes import Running, a_node


@pytest.fixture
async def node(utd_clock: VirtualClock) -> AsyncIterator[Running]:
    """An open node with everything, asked as its application's server would."""
    async with a_node(utd_clock, metrics_token=None) as running:
        yield running
