"""When a connection asks for a sign of life, and that it sleeps until then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from utd_core.client.remote import RemoteSettings
from utd_core.client.remote.dialogue import Dialogue
from utd_core.testing import VirtualClock
from utd_core.testing.wait import eventually

SETTINGS = RemoteSettings(silence=30.0, doubt=3.0, pong_timeout=10.0)


class CountingClock(VirtualClock):
    """`sleeps`: how often anybody went to sleep."""

    sleeps = 0

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        await super().sleep(seconds)


class Line:
    """Transport and socket in one; `said` by the client, `say` something to it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._coming: asyncio.Queue[str] = asyncio.Queue()

    async def connect(self, url: str) -> Line:
        return self

    async def send(self, text: str) -> None:
        self.said.append(json.loads(text)["event"])

    async def receive(self) -> str:
        return await self._coming.get()

    async def aclose(self) -> None: ...

    def say(self, event: str, data: str = "{}") -> None:
        self._coming.put_nowait(json.dumps({"event": event, "data": data}))


@pytest.fixture
def clock() -> CountingClock:
    return CountingClock()


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
async def dialogue(clock: CountingClock, line: Line) -> AsyncIterator[Dialogue]:
    """One that is signed in."""
    dialogue = Dialogue(line, clock, SETTINGS, lambda *_: None)  # type: ignore[arg-type]  # as much of it as is used
    running = asyncio.ensure_future(dialogue.run("ws://somewhere", "token"))
    await clock.settle()
    line.say("pusher:connection_established", json.dumps({"socket_id": "1.1", "activity_timeout": 120}))
    line.say("pusher:signin_success")
    await clock.settle()
    yield dialogue
    dialogue.hang_up()
    await running


async def test_an_idle_one_sleeps_through_the_whole_silence(dialogue: Dialogue, clock: CountingClock) -> None:
    await clock.advance(SETTINGS.doubt)
    clock.sleeps = 0
    await clock.advance(SETTINGS.silence - SETTINGS.doubt - 0.1)
    assert clock.sleeps <= 1


async def test_after_a_silence_it_asks_once_and_an_answer_is_enough(
    dialogue: Dialogue, clock: CountingClock, line: Line
) -> None:
    for _ in range(3):
        line.said.clear()
        await clock.advance(SETTINGS.silence - SETTINGS.pong_timeout - 1)
        assert line.said == []
        await eventually(lambda: line.said == ["pusher:ping"], SETTINGS.pong_timeout + 2, clock=clock)
        line.say("pusher:pong")
        await clock.advance(SETTINGS.pong_timeout)
        assert line.said == ["pusher:ping"]
    assert not dialogue.is_over


async def test_what_is_said_while_it_sleeps_is_doubted_soon(
    dialogue: Dialogue, clock: CountingClock, line: Line
) -> None:
    await clock.advance(10)
    line.said.clear()
    dialogue.sign_in("another token")
    await clock.advance(SETTINGS.doubt - 0.1)
    assert line.said == ["pusher:signin"]
    await clock.advance(0.2)
    assert line.said == ["pusher:signin", "pusher:ping"]
    await clock.advance(SETTINGS.pong_timeout)
    assert dialogue.is_over


async def test_what_is_answered_is_not_doubted(dialogue: Dialogue, clock: CountingClock, line: Line) -> None:
    await clock.advance(10)
    line.said.clear()
    dialogue.sign_in("another token")
    line.say("pusher:signin_success")
    await clock.advance(SETTINGS.silence - 0.1)
    assert line.said == ["pusher:signin"]
