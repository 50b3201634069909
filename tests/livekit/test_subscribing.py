"""Taking a track, refusing it and taking it again, as fast as one likes."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.testing.wait import eventually
from utd_livekit.backend import LiveKitBackend
from utd_livekit.subscribing import Subscribing

from .stage import CAMERA, becomes, stage

TIMES = 5
"""Every second or third camera was lost."""


class Server:
    """Hears what is asked; it sends the track when asked for it the `deaf_to` + 1st time."""

    def __init__(self, deaf_to: int = 0) -> None:
        self.heard: list[tuple[float, bool]] = []
        self._deaf_to = deaf_to
        self.subscribing = Subscribing(self.hear, lambda: self.is_sent)

    def hear(self, wanted: bool) -> None:
        self.heard.append((asyncio.get_running_loop().time(), wanted))

    @property
    def asked(self) -> list[bool]:
        return [wanted for _, wanted in self.heard]

    @property
    def is_sent(self) -> bool:
        return self.asked[-1:] == [True] and self.asked.count(True) > self._deaf_to


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utd_livekit.words.APART", 0.05)
    monkeypatch.setattr("utd_livekit.subscribing._COMES_WITHIN", 0.1)


@pytest.mark.usefixtures("hurry")
async def test_there_is_time_between_refusing_and_taking_again() -> None:
    server = Server()
    for wanted in (False, True):
        server.subscribing.want(wanted)
    assert server.asked == [False]
    await eventually(lambda: server.is_sent, what="the track")
    (refused, _), (taken, _) = server.heard[-2:]
    assert taken - refused >= 0.05


@pytest.mark.usefixtures("hurry")
async def test_the_last_word_counts_whatever_came_before() -> None:
    server = Server()
    for wanted in (False, True, False, True, False):
        server.subscribing.want(wanted)
    other = Server()
    for wanted in (False, True):
        other.subscribing.want(wanted)
    await eventually(lambda: other.is_sent, what="a track that was wanted later")
    assert server.asked == [False, False, False]


@pytest.mark.usefixtures("hurry")
async def test_a_track_that_is_refused_and_taken_again_at_once_is_not_refused() -> None:
    server = Server()
    for wanted in (True, False, True):
        server.subscribing.want(wanted)
    server.subscribing.stop()
    assert server.asked == [True, True]


@pytest.mark.usefixtures("hurry")
async def test_a_track_that_does_not_come_is_asked_for_anew() -> None:
    server = Server(deaf_to=2)
    server.subscribing.want(True)
    await eventually(lambda: server.is_sent, what="the track")
    assert server.asked == [True, False, True, False, True]


@pytest.mark.usefixtures("hurry")
async def test_one_that_never_comes_is_given_up() -> None:
    server = Server(deaf_to=100)
    server.subscribing.want(True)
    await eventually(lambda: server.asked.count(True) == 5, what="the last try")
    later = Server(deaf_to=1)
    later.subscribing.want(True)
    await eventually(lambda: later.is_sent, what="a track that was wanted later")
    assert server.asked.count(True) == 5


@pytest.mark.usefixtures("hurry")
async def test_after_the_end_nothing_is_asked() -> None:
    server, other = Server(), Server()
    for each in (server, other):
        each.subscribing.want(False)
        each.subscribing.want(True)
    server.subscribing.stop()
    await eventually(lambda: other.is_sent, what="the track of the other one")
    assert server.asked == [False]


@pytest.mark.heavy
async def test_a_camera_that_is_refused_as_it_comes_and_taken_again_at_once_is_seen(backend: LiveKitBackend) -> None:
    for _ in range(TIMES):
        await flick(backend)


async def flick(backend: LiveKitBackend) -> None:
    async with stage(backend) as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        track = await ann.publish(CAMERA, simulcast=True, width=1_280, height=720)
        await becomes(lambda: bob.offered, "the first subscription")
        await bob.connection.set_subscribed(track.info.id, False)
        await bob.connection.set_subscribed(track.info.id, True)
        await becomes(lambda: len(bob.offered) > 1, "the second subscription")
        seen = await bob.collect(track)
        # Until the first one is written the library sends black ones.
        await becomes(lambda: seen, "a picture")
