"""What a participant publishes, and what the other wants of it: word of the two comes on different ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from utd_core.concurrency import SystemClock
from utd_core.media.backend import PublishOptions
from utd_core.testing.wait import eventually
from utd_webrtc_p2p.protocol import Message, Mute, Publish
from utd_webrtc_p2p.publishing import Publishing

from .world import CAMERA, MICROPHONE


class SlowControl:
    """A dialogue whose requests are answered when `answer` is set."""

    def __init__(self) -> None:
        self.asked: list[Publish] = []
        self.answer = asyncio.Event()

    def next_number(self) -> int:
        return len(self.asked) + 1

    def say(self, message: Message) -> None:
        raise AssertionError(message)

    async def ask(self, message: Publish | Mute, done: Callable[[], None]) -> None:
        assert isinstance(message, Publish)
        self.asked.append(message)
        await self.answer.wait()
        done()


def publishing_through(control: Any) -> Publishing:
    return Publishing(control, lambda track: None, lambda: None, lambda: False, SystemClock())


async def test_wants_that_overtake_the_answer_to_the_publishing_count() -> None:
    control = SlowControl()
    publishing = publishing_through(control)
    camera = asyncio.create_task(publishing.publish(PublishOptions(CAMERA)))
    microphone = asyncio.create_task(publishing.publish(PublishOptions(MICROPHONE)))
    await eventually(lambda: len(control.asked) == 2)
    publishing.take_wants({request.track.id: request.track.source is CAMERA for request in control.asked})
    control.answer.set()
    assert (await camera).wanted
    assert not (await microphone).wanted


async def test_wants_of_tracks_that_never_come_take_no_room() -> None:
    publishing = publishing_through(SlowControl())
    for number in range(1_000):
        publishing.take_wants({f"TR_{number:016x}": True})
    assert len(publishing._wanted_early) == 16
