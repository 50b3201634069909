"""The contract of message buses, over those that come with utd-core."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.redis import SharedRedis
from utd_core.bus import LocalMessages
from utd_core.bus.redis import RedisMessages
from utd_core.testing.buses import MessageBusContract, Nodes


class TestLocalMessages(MessageBusContract):
    @pytest.fixture
    async def nodes(self) -> AsyncIterator[Nodes]:
        async with LocalMessages() as one, LocalMessages(beside=one) as other:
            yield one, other


class TestOneLocalMessages(MessageBusContract):
    @pytest.fixture
    async def nodes(self) -> AsyncIterator[Nodes]:
        async with LocalMessages() as bus:
            yield bus, bus


class TestRedisMessages(MessageBusContract):
    @pytest.fixture
    async def nodes(self, redis: SharedRedis) -> AsyncIterator[Nodes]:
        prefix = redis.prefix()
        async with RedisMessages(redis.url, prefix=prefix) as one, RedisMessages(redis.url, prefix=prefix) as other:
            yield one, other
