"""What crosses between nodes arrives as it was said."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.concurrency import TaskScope
from utd_core.errors import EXCEPTION_OF, Conflict, ErrorCode, Forbidden, Unavailable
from utd_core.model.command import Actor
from utd_core.model.commands import GetRoom, JoinRoom, UpdateMetadata
from utd_core.model.room import MetadataChanged
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.cluster import messages
from utd_core.server.cluster.gathering import MOST_AT_ONCE, Gathering
from utd_core.store.base import Envelope, Head

TENANCY = messages.Tenancy("shop", "a1b2", 7)
ANN = Actor("ann", "phone", "Ann\t\n\u2028Ä", 12)
NASTY = {"text": "a\tb\nc\u2028\x00 ☃", "empty": "", "deep": [{"n": 1.5}]}


@pytest.mark.parametrize(
    "question",
    [
        messages.execute(TENANCY, UpdateMetadata(room="lounge", metadata=NASTY), ANN, "key"),
        messages.execute(TENANCY, GetRoom(room="lounge"), ANN, None),
        messages.Open(TENANCY, "s", "topic"),
        messages.Follow(TENANCY, "s", ("private-room.lounge",)),
        messages.Admit(TENANCY, "s", (messages.Wish(1, "private-user.ann", ANN),)),
        messages.Beat(TENANCY, "s", ("private-room.lounge",), (1, 2)),
    ],
    ids=lambda question: question.kind,
)
def test_a_question(question: messages.Question) -> None:
    assert messages.read_question(messages.write(question)) == question


def test_an_actor_keeps_the_generation_of_its_token() -> None:
    question = messages.read_question(messages.write(messages.execute(TENANCY, GetRoom(room="lounge"), ANN, None)))
    assert isinstance(question, messages.Execute)
    assert question.actor.generation == 12


def test_a_command_and_which_of_its_fields_were_given() -> None:
    join = JoinRoom(room="lounge", type=UTDStreamType.AUDIO_ROOM, device_id="default")
    found = messages.command_of(messages.execute(TENANCY, join, ANN, None))
    assert found == join
    assert found.model_fields_set == {"room", "type", "device_id"}


@pytest.mark.parametrize(
    "answer",
    [
        messages.Done("[1]", Head("epoch", 4)),
        messages.Refused(messages.refusal_of(Forbidden("no", details={"until": 3}))),
        messages.Admitted((None, messages.refusal_of(Conflict("no")))),
        messages.Heard(9),
        messages.Gone(),
    ],
    ids=lambda answer: answer.kind,
)
def test_an_answer(answer: messages.Answer) -> None:
    assert messages.read_answer(messages.write(answer)) == answer


@pytest.mark.parametrize("code", [code for code in ErrorCode if code is not ErrorCode.CLOSED])
def test_an_error_is_raised_as_what_it_was(code: ErrorCode) -> None:
    error = EXCEPTION_OF[code]("what to do", code=code, details={"retry_after": 2, "foreign": {1}})
    crossed = messages.refusal_of(error).as_error()
    assert (type(crossed), crossed.message, crossed.code) == (type(error), error.message, error.code)
    assert crossed.status_code == error.status_code
    assert crossed.details["retry_after"] == 2


def test_a_stream_of_events_and_ends_whatever_is_in_them() -> None:
    event = MetadataChanged(NASTY, 3, "ann\tb\n")
    envelope = Envelope("private-room.a\tb\n☃", "epoch", 4, "room", "a\tb\n☃", 1.25, event)
    banned = Forbidden("gone\nfor\tgood", details={"reason": "x"})
    lines = [messages.event_line(envelope), messages.ended_line(5, banned), messages.ended_line(6, None)]
    stream, number, found = messages.read_stream_message(messages.stream_message("s1", 3, lines))
    assert (stream, number) == ("s1", 3)
    first, second, third = map(messages.read_line, found)
    assert first == envelope
    assert isinstance(second, messages.Ended)
    assert second.admission == 5
    assert isinstance(second.error, Forbidden)
    assert second.error.message == banned.message
    assert third == messages.Ended(6, None)
    assert messages.read_stream_message(messages.last_message("s1")) == ("s1", messages.LAST, [])


@pytest.mark.parametrize(
    "said", [b"", b"{}", b"\xff", b'{"kind": "sing"}', b'{"kind": "execute", "tenancy": 4}', b"[1, 2]"]
)
def test_what_another_version_says_is_refused_and_not_guessed(said: bytes) -> None:
    for read in (messages.read_question, messages.read_answer):
        with pytest.raises(Unavailable, match="version"):
            read(said)


@pytest.mark.parametrize(
    "said", [b"", b"s1", b"s1 x", b"s1 -1", "s1 \u00b2".encode(), b"s1 " + b"9" * 5_000, b"\xff 1"]
)
def test_what_is_no_message_of_a_stream_is_refused(said: bytes) -> None:
    with pytest.raises(Unavailable, match="another version"):
        messages.read_stream_message(said)


def test_an_event_that_this_version_does_not_know_is_refused() -> None:
    with pytest.raises(Unavailable, match="version"):
        messages.read_line('["c", "e", 1, "room", "r", 1.0, "levitated"]\t{}')


class TestGathering:
    async def test_what_comes_meanwhile_goes_with_the_next_question(self) -> None:
        asked: list[list[int]] = []

        async def send(items: list[int]) -> list[int]:
            asked.append(list(items))
            await asyncio.sleep(0)
            return [-item for item in items]

        scope = TaskScope("test")
        await scope.open()
        gathering: Gathering[int, int] = Gathering(scope, send)  # type: ignore[arg-type]  # a list is a sequence
        answers = await asyncio.gather(*map(gathering.ask, range(MOST_AT_ONCE + 10)))
        assert answers == [-item for item in range(MOST_AT_ONCE + 10)]
        assert list(map(len, asked)) == [MOST_AT_ONCE, 10]
        await scope.aclose()

    async def test_a_failure_is_that_of_those_who_were_asked_for(self) -> None:
        async def send(items: object) -> list[int]:
            raise Conflict("not now")

        scope = TaskScope("test")
        await scope.open()
        gathering: Gathering[int, int] = Gathering(scope, send)
        results = await asyncio.gather(*map(gathering.ask, range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [Conflict] * 3
        assert len({id(result) for result in results}) == 3, "a traceback belongs to one task"
        await scope.aclose()

    async def test_nobody_waits_for_what_ends(self) -> None:
        async def send(items: object) -> list[int]:
            await asyncio.Event().wait()
            return []

        scope = TaskScope("test")
        await scope.open()
        gathering: Gathering[int, int] = Gathering(scope, send)
        waiting = [asyncio.ensure_future(gathering.ask(item)) for item in range(3)]
        await asyncio.sleep(0)
        await scope.aclose()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {getattr(result, "code", None) for result in results} == {"closed"}
