"""Questions from node to node, and their answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from utd_core.bus import LocalMessages, Questions
from utd_core.errors import Banned, NobodyListens


@pytest.fixture
async def questions() -> AsyncIterator[Questions]:
    async with LocalMessages() as bus, Questions(bus) as questions:
        yield questions


async def shout(payload: bytes) -> bytes:
    return payload.upper()


async def test_a_question_is_answered(questions: Questions) -> None:
    await questions.answer("shout", shout)
    assert await questions.ask("shout", b"hello\nyou", 5) == b"HELLO\nYOU"


async def test_nobody_listens_is_known_at_once(questions: Questions) -> None:
    with pytest.raises(NobodyListens):
        await questions.ask("shout", b"", 1_000_000)


async def test_an_error_crosses_as_what_it_is(questions: Questions) -> None:
    async def refuse(payload: bytes) -> bytes:
        raise Banned("not you", details={"until": 5})

    await questions.answer("refuse", refuse)
    with pytest.raises(Banned, match="not you") as caught:
        await questions.ask("refuse", b"", 5)
    assert (caught.value.code, caught.value.status_code, caught.value.details) == ("banned", 403, {"until": 5})
