"""The chaos of the client's calls, over real media: lines and ways are hurt while four people call each other."""

from __future__ import annotations

import random

import pytest

from tests.client.conftest import way  # noqa: F401  # a fixture
from tests.client.test_chaos_calls import live_through
from tests.client.world import Way
from utd_core.model.permission import TrackSource
from utd_core.testing.leaks import Snapshot, assert_no_leaks

from .calls import P2PWorld

pytestmark = [pytest.mark.heavy, pytest.mark.parity("U12", "U13")]

PATIENCE = 30.0
"""Seconds in which ways that were hurt are there again."""


@pytest.mark.parametrize("seed", range(4))
async def test_both_sides_agree_whatever_happens(way: Way, seed: int) -> None:  # noqa: F811  # the fixture
    before = Snapshot.take()
    async with P2PWorld(way) as world:

        def connected(room: str) -> dict[str, set[TrackSource]]:
            there = world.backend.board.rooms.get(room)
            stays = {} if there is None else there.stays
            return {
                name: {track.source for track in stay.tracks.values() if not track.muted}
                for name, stay in stays.items()
            }

        await live_through(world, random.Random(f"p2p/{seed}"), connected, steps=30, patience=PATIENCE)
        await world.until(
            lambda: not any(room.stays for room in world.backend.board.rooms.values()), what="nobody there"
        )
    await assert_no_leaks(before, grace=5.0)
