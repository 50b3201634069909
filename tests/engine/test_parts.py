"""The small parts by themselves: alarms, agenda, upkeep, lines, tokens, settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from utd_core.concurrency import TaskScope
from utd_core.concurrency.alarm import Alarm
from utd_core.engine import EngineSettings
from utd_core.engine.deciding.journal import new_call_id
from utd_core.engine.deciding.lines import KEPT_CALLS, Lines
from utd_core.engine.identity.tokens import UserTokens, token_key
from utd_core.engine.media.media_rooms import MediaRooms, owner_of
from utd_core.engine.timing.alarms import Agenda, Backoff, within
from utd_core.engine.timing.upkeep import Upkeep
from utd_core.errors import Closed, DeadlineExceeded, InvalidInput, MediaError, Unauthenticated, Unsupported
from utd_core.model.call import media_room
from utd_core.model.command import Actor
from utd_core.store import open_store
from utd_core.store.base import Commit
from utd_core.testing import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def scope() -> AsyncIterator[TaskScope]:
    scope = TaskScope("test")
    await scope.open()
    yield scope
    await scope.aclose()


@pytest.fixture
async def agenda(clock: VirtualClock, scope: TaskScope) -> Agenda:
    agenda = Agenda(clock)
    scope.start(agenda.run)
    return agenda


async def test_an_alarm_rings_at_the_earliest_time_it_was_set_to(clock: VirtualClock, scope: TaskScope) -> None:
    alarm, rang = Alarm(clock, clock.monotonic), []

    async def wait() -> None:
        while True:
            await alarm.wait()
            rang.append(clock.monotonic())

    scope.start(wait)
    await clock.advance(5)
    alarm.set(20.0)
    await clock.settle()
    alarm.set(10.0)
    alarm.set(15.0)
    await clock.advance(100)
    assert rang == [10.0]
    alarm.set(50.0)
    await clock.settle()
    assert rang == [10.0, 105.0], "the past is now"
    assert not clock.pending


async def test_the_agenda_calls_in_order_and_survives_a_mistake(clock: VirtualClock, agenda: Agenda) -> None:
    called: list[tuple[str, float]] = []

    def note(name: str) -> None:
        called.append((name, clock.monotonic()))
        if name == "bad":
            raise ZeroDivisionError

    for seconds, name in ((3.0, "late"), (1.0, "bad"), (1.0, "good"), (0.0, "now")):
        agenda.after(seconds, lambda name=name: note(name))  # type: ignore[misc]  # bound at once
    await clock.advance(10)
    assert called == [("now", 0.0), ("bad", 1.0), ("good", 1.0), ("late", 3.0)]
    assert len(agenda) == 0


async def test_a_function_on_the_agenda_may_ask_for_another(clock: VirtualClock, agenda: Agenda) -> None:
    beats: list[float] = []

    def beat() -> None:
        beats.append(clock.monotonic())
        if len(beats) < 5:
            agenda.after(1.1, beat)

    agenda.after(1.1, beat)
    await clock.advance(100)
    assert beats == pytest.approx([1.1, 2.2, 3.3, 4.4, 5.5])


async def test_within_ends_what_takes_too_long_and_passes_on_what_it_raises(
    clock: VirtualClock, agenda: Agenda
) -> None:
    async def take(seconds: float) -> float:
        await clock.sleep(seconds)
        return seconds

    async def fail() -> None:
        raise ZeroDivisionError

    quick, slow = (asyncio.ensure_future(within(agenda, 5.0, take, seconds)) for seconds in (4.0, 6.0))
    await clock.advance(10)
    assert await quick == 4.0
    with pytest.raises(DeadlineExceeded):
        await slow
    with pytest.raises(ZeroDivisionError):
        await within(agenda, 5.0, fail)


def test_backoff_doubles_up_to_its_limit() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.step() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


class Work:
    """A handler that notes when it was called, fails as often as told, and can be held."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.calls: list[tuple[str, float]] = []
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = self.most_at_once = 0

    async def __call__(self, key: str) -> None:
        self.calls.append((key, self.clock.monotonic()))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            if self.failures:
                raise self.failures.pop(0)
        finally:
            self.at_once -= 1


@pytest.fixture
def work(clock: VirtualClock) -> Work:
    return Work(clock)


@pytest.fixture
def upkeep(clock: VirtualClock, scope: TaskScope, agenda: Agenda, work: Work) -> Upkeep[str]:
    return Upkeep(
        "work", work, scope=scope, clock=clock, agenda=agenda, limit=3, patience=5.0, retry_first=1.0, retry_limit=4.0
    )


async def test_a_key_that_is_asked_often_is_worked_on_once_and_once_more(
    clock: VirtualClock, upkeep: Upkeep[str], work: Work
) -> None:
    work.gate.clear()
    for _ in range(5):
        upkeep.ask("a")
    await clock.settle()
    for _ in range(5):
        upkeep.ask("a")
    work.gate.set()
    await clock.settle()
    assert work.calls == [("a", 0.0), ("a", 0.0)]
    assert upkeep.waiting == 0


async def test_so_many_keys_at_once_and_no_more(clock: VirtualClock, upkeep: Upkeep[str], work: Work) -> None:
    work.gate.clear()
    for number in range(10):
        upkeep.ask(str(number))
    await clock.settle()
    assert (work.at_once, upkeep.waiting) == (3, 10)
    work.gate.set()
    await clock.settle()
    assert (work.most_at_once, upkeep.waiting) == (3, 0)
    upkeep.ask("again")
    await clock.settle()
    assert work.calls[-1][0] == "again"


async def test_a_failure_is_tried_again_later_and_later(clock: VirtualClock, upkeep: Upkeep[str], work: Work) -> None:
    work.failures = [ZeroDivisionError() for _ in range(5)]
    upkeep.ask("a")
    await clock.advance(100)
    assert [at for _, at in work.calls] == [0.0, 1.0, 3.0, 7.0, 11.0, 15.0]
    assert (upkeep.failures, upkeep.lag_max, upkeep.lag, upkeep.waiting) == (5, 15.0, 0.0, 0)


@pytest.mark.parametrize(
    ("failure", "is_traced"),
    [(MediaError("the media server is away"), False), (ZeroDivisionError("odd"), True)],
    ids=["foreseen", "not-foreseen"],
)
async def test_only_a_failure_that_nobody_foresaw_is_logged_with_its_trace(
    clock: VirtualClock,
    upkeep: Upkeep[str],
    work: Work,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    is_traced: bool,
) -> None:
    work.failures = [failure]
    upkeep.ask("a")
    await clock.advance(100)
    (record,) = caplog.records
    assert str(failure) in caplog.text
    assert (record.exc_info is not None) is is_traced
    assert upkeep.failures == 1


async def test_a_key_that_fails_keeps_no_other_waiting(clock: VirtualClock, upkeep: Upkeep[str], work: Work) -> None:
    work.failures = [ZeroDivisionError()]
    upkeep.ask("bad")
    await clock.settle()
    upkeep.ask("good")
    await clock.settle()
    assert ("good", 0.0) in work.calls
    assert upkeep.waiting == 1


@pytest.mark.parametrize("final", [Unsupported("this backend cannot"), Closed("gone")])
async def test_what_cannot_help_is_not_tried_again(
    clock: VirtualClock, upkeep: Upkeep[str], work: Work, final: Exception
) -> None:
    work.failures = [final]
    upkeep.ask("a")
    await clock.advance(100)
    assert len(work.calls) == 1
    assert upkeep.waiting == 0


async def test_work_that_does_not_end_is_ended_and_tried_again(
    clock: VirtualClock, upkeep: Upkeep[str], work: Work
) -> None:
    work.gate.clear()
    for number in range(4):
        upkeep.ask(str(number))
    await clock.advance(4)
    assert len(work.calls) == 3
    await clock.advance(1)
    assert work.calls[3] == ("3", 5.0), "those that hang do not keep the others waiting for ever"
    work.gate.set()
    await clock.advance(20)
    assert (upkeep.waiting, upkeep.failures) == (0, 3)
    assert upkeep.lag_max == 6.0


async def test_quiet_waits_for_work_that_is_under_way_and_for_no_other(
    clock: VirtualClock, upkeep: Upkeep[str], work: Work
) -> None:
    work.gate.clear()
    upkeep.ask("a")
    await clock.settle()
    waiter = asyncio.ensure_future(upkeep.quiet("a"))
    await upkeep.quiet("b")
    await clock.settle()
    assert not waiter.done()
    work.gate.set()
    await waiter


async def test_a_line_remembers_the_latest_calls_and_no_more(clock: VirtualClock) -> None:
    async with open_store() as store:
        lines = Lines(store, clock)
        for number in range(KEPT_CALLS + 5):
            for change in (lines.engage, lines.release):
                if change == lines.engage:
                    await lines.fetch(["ann"])
                change("ann", f"call-{number}")
                await store.commit(Commit(states=lines.rows()))
                lines.keep()
                if change == lines.engage:
                    lines.let_go(["ann"])
        recent = await lines.recent("ann")
        assert len(recent) == KEPT_CALLS
        assert recent[0] == f"call-{KEPT_CALLS + 4}"
        assert not lines.engaged
        assert not lines.holds(["ann"]), "a line that nobody is on is not kept in memory"


def test_later_calls_sort_first() -> None:
    ids = [new_call_id(1_700_000_000 + seconds) for seconds in (0.0, 0.001, 5.0, 86_400.0)]
    assert sorted(ids, reverse=True) == ids
    assert len({new_call_id(1.0) for _ in range(100)}) == 100


async def test_a_user_token_is_good_until_it_expires_and_nowhere_else(clock: VirtualClock) -> None:
    async with open_store() as store:
        key = await token_key(store)
        assert await token_key(store) == key
    tokens = UserTokens("app", key, clock, 60.0)
    ann = Actor("ann", "phone", "Ann")
    terms = tokens.terms(7)
    token = tokens.issue(ann, terms)
    assert terms.expires_at == clock.now() + 60
    assert tokens.read(token) == ann
    for stranger in (UserTokens("app", key[::-1], clock, 60.0), UserTokens("other", key, clock, 60.0)):
        with pytest.raises(Unauthenticated):
            stranger.read(token)
    for bad in ("", "x", token[:-4] + "AAAA", "a.b.c", token.rsplit(".", 1)[0] + "."):
        with pytest.raises(Unauthenticated):
            tokens.read(bad)
    await clock.advance(60)
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.read(token)


async def test_an_unsigned_token_is_no_token(clock: VirtualClock) -> None:
    import jwt

    tokens = UserTokens("app", b"k" * 32, clock, 60.0)
    claims = {"sub": "ann", "app": "app", "exp": clock.now() + 60}
    with pytest.raises(Unauthenticated):
        tokens.read(jwt.encode(claims, "", algorithm="none"))


async def test_making_and_closing_a_media_room_never_overlap() -> None:
    class Control:
        def __init__(self) -> None:
            self.calls: list[str] = []

        async def create_room(self, room: str, *, max_participants: int | None = None) -> None:
            self.calls.append("create")
            await asyncio.sleep(0)
            self.calls.append("created")

        async def close_room(self, room: str) -> None:
            self.calls.append("close")
            await asyncio.sleep(0)
            self.calls.append("closed")

    control = Control()
    rooms = MediaRooms(control)  # type: ignore[arg-type]  # the two methods that it uses
    await asyncio.gather(*(rooms.ensure("a", None) for _ in range(3)))
    assert control.calls == ["create", "created"]
    rooms.condemn("a")
    await asyncio.gather(rooms.close_condemned("a"), rooms.ensure("a", None), rooms.close_condemned("a"))
    assert control.calls[2:] == ["close", "closed", "create", "created"]
    assert rooms.compare([]) == ["a"]
    await rooms.ensure("a", None)
    assert control.calls[-1] == "created"


def test_a_media_room_has_one_owner() -> None:
    assert [owner.name for owner, _ in (owner_of("lobby"), owner_of(media_room("x")))] == ["room", "call"]
    assert owner_of(media_room("x"))[1] == "x"


@pytest.mark.parametrize(
    "settings",
    [
        {"ticket_ttl": 0},
        {"queue_capacity": -1},
        {"retry_first": float("nan")},
        {"batch_limit": 2.5},
        {"ticket_ttl": True},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(settings))):
        EngineSettings(**settings)  # type: ignore[arg-type]  # that is the point
