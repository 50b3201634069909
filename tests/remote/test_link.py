"""A link whose server is slow, busy, away, or says something else than expected. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
import pytest

from utd_core.broker.base import Recover
from utd_core.client.remote import RemoteLink
from utd_core.concurrency import BoundedQueue
from utd_core.engine import EngineSettings
from utd_core.errors import (
    Banned,
    Closed,
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UTDStreamException,
)
from utd_core.model.commands import (
    CreateBan,
    GetRoom,
    GetSeats,
    JoinRoom,
    LockSeat,
    RemoveParticipant,
    TakeSeat,
    UnlockSeat,
)
from utd_core.model.results import RoomSnapshot
from utd_core.model.stream_type import UTDStreamType
from utd_core.store.base import Envelope

from .world import RemoteWorld

ROOM = "lobby"
CHANNEL = f"private-room.{ROOM}"


@pytest.fixture
async def host(world: RemoteWorld) -> AsyncIterator[RemoteLink]:
    """Somebody in a room of four seats."""
    link = await signed_in(world, "host")
    await link.execute(JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=True, seat_count=4))
    yield link
    await link.aclose()


async def signed_in(world: RemoteWorld, identity: str, **options: object) -> RemoteLink:
    link = world.link(**options)
    await link.authenticate(identity, name="", device_id="d")
    return link


async def test_a_command_whose_answer_was_lost_is_repeated_under_its_key_and_done_once(
    world: RemoteWorld, host: RemoteLink
) -> None:
    world.between.lost_answers = 2
    seat = await world.run(host.execute(TakeSeat(room=ROOM, index=1)))
    assert seat.identity == "host"
    sent = world.between.sent("/seats/1/take")
    assert len(sent) == 3
    assert len({request.headers["idempotency-key"] for request in sent}) == 1


async def test_a_query_has_no_key(world: RemoteWorld, host: RemoteLink) -> None:
    await host.execute(GetSeats(room=ROOM))
    (request,) = world.between.sent("/seats")
    assert "idempotency-key" not in request.headers


async def test_what_the_rules_refuse_is_not_repeated(world: RemoteWorld, host: RemoteLink) -> None:
    await host.execute(TakeSeat(room=ROOM, index=1))
    with pytest.raises(UTDStreamException) as raised:
        await host.execute(TakeSeat(room=ROOM, index=2))
    assert raised.value.code == "already_seated"
    assert len(world.between.sent("/seats/2/take")) == 1


def busy(status: int, code: str, after: str, times: int) -> object:
    left = times

    def answer(request: httpx.Request) -> httpx.Response | None:
        nonlocal left
        if left == 0 or "/seats" not in request.url.path:
            return None
        left -= 1
        return httpx.Response(status, headers={"retry-after": after}, json={"message": "busy", "code": code})

    return answer


@pytest.mark.parametrize(("status", "code"), [(503, "unavailable"), (429, "rate_limited"), (503, "store_failed")])
async def test_a_busy_server_is_left_alone_for_as_long_as_it_says(
    world: RemoteWorld, host: RemoteLink, status: int, code: str
) -> None:
    world.between.answer = busy(status, code, "3", 2)  # type: ignore[assignment]  # it is one
    began = world.clock.monotonic()
    await world.run(host.execute(LockSeat(room=ROOM, index=1)))
    assert 6.0 <= world.clock.monotonic() - began <= 10.0
    assert len(world.between.sent("/seats/1/lock")) == 3


async def test_a_server_that_wants_peace_for_too_long_is_told_of_at_once(world: RemoteWorld, host: RemoteLink) -> None:
    world.between.answer = busy(429, "rate_limited", "3600", 1)  # type: ignore[assignment]  # it is one
    with pytest.raises(RateLimited):
        await host.execute(LockSeat(room=ROOM, index=1))


async def test_patience_ends(world: RemoteWorld, host: RemoteLink) -> None:
    world.between.away = True
    began = world.clock.monotonic()
    with pytest.raises(Unavailable):
        await world.run(host.execute(LockSeat(room=ROOM, index=1)))
    assert 5.0 <= world.clock.monotonic() - began <= 10.0


async def test_a_request_that_is_never_answered_ends(world: RemoteWorld, host: RemoteLink) -> None:
    world.between.unanswered = True
    began = world.clock.monotonic()
    with pytest.raises(DeadlineExceeded):
        await world.run(host.execute(LockSeat(room=ROOM, index=1)), timeout=120.0)
    assert world.clock.monotonic() - began < 40.0
    world.between.unanswered = False


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>", Unavailable),
        (200, b"{}", Unavailable),
        (200, b"", Unavailable),
        (302, b"", Unavailable),
        (404, b"<html>not found</html>", Unavailable),
        (403, b"<html>firewall</html>", Forbidden),
        (500, b"oops", Unavailable),
        (502, b"<html>bad gateway</html>", Unavailable),
        (413, b"too large", InvalidInput),
        (429, b"slow down", RateLimited),
        (409, b'{"message": "news", "code": "of_a_later_version"}', UTDStreamException),
        (500, b'{"message": "a bug", "code": "internal"}', UTDStreamException),
    ],
)
async def test_whatever_stands_before_the_engine_its_answers_become_typed_errors(
    world: RemoteWorld, host: RemoteLink, status: int, body: bytes, error: type[UTDStreamException]
) -> None:
    world.between.answer = lambda request: httpx.Response(status, content=body)
    with pytest.raises(error) as raised:
        await world.run(host.execute(GetRoom(room=ROOM)))
    world.between.answer = None
    if b"of_a_later_version" in body:
        assert (raised.value.code, raised.value.status_code) == ("of_a_later_version", 409)


async def test_a_lost_socket_is_told_and_what_was_missed_is_replayed(world: RemoteWorld, host: RemoteLink) -> None:
    following = await host.subscribe(CHANNEL)
    await host.execute(LockSeat(room=ROOM, index=0))
    first = following.events.get_nowait()
    assert first is not None
    world.between.cut()
    await world.settle()
    with pytest.raises(Closed):
        await following.events.get()
    for index in (1, 2):
        await host.execute(LockSeat(room=ROOM, index=index))
    again = await world.run(host.subscribe(CHANNEL, recover=Recover(first.epoch, first.offset)))
    await world.settle()
    assert again.recovered
    missed = list(iter(again.events.get_nowait, None))
    assert [event.offset for event in missed] == [first.offset + 1, first.offset + 2]


async def test_a_gap_that_is_not_held_any_more_is_said_honestly(world: RemoteWorld, host: RemoteLink) -> None:
    snapshot: RoomSnapshot = await host.execute(GetRoom(room=ROOM))
    for _ in range(300):
        await world.engine.execute(LockSeat(room=ROOM, index=1))
        await world.engine.execute(UnlockSeat(room=ROOM, index=1))
    beyond = (Recover(snapshot.epoch, snapshot.offset), Recover("another", 1), Recover(snapshot.epoch, 10**6))
    for place in beyond:
        following = await host.subscribe(CHANNEL, recover=place)
        assert not following.recovered
        assert following.head.offset == snapshot.offset + 600
        host.unsubscribe(following)
    held = await host.subscribe(CHANNEL, recover=Recover(snapshot.epoch, snapshot.offset + 500))
    await world.settle()
    assert held.recovered
    assert len(held.events) == 100


async def test_two_readers_of_one_channel_get_what_each_asked_for(world: RemoteWorld, host: RemoteLink) -> None:
    snapshot: RoomSnapshot = await host.execute(GetRoom(room=ROOM))
    for index in (0, 1):
        await host.execute(LockSeat(room=ROOM, index=index))
    early, late = await asyncio.gather(
        host.subscribe(CHANNEL, recover=Recover(snapshot.epoch, snapshot.offset)), host.subscribe(CHANNEL)
    )
    await host.execute(LockSeat(room=ROOM, index=2))
    assert (early.recovered, late.recovered) == (True, False)
    assert [event.offset - snapshot.offset for event in iter(early.events.get_nowait, None)] == [1, 2, 3]
    assert [event.offset - snapshot.offset for event in iter(late.events.get_nowait, None)] == [3]


async def test_a_silent_socket_is_given_up(world: RemoteWorld, host: RemoteLink) -> None:
    following = await host.subscribe(CHANNEL)
    world.between.silent = True
    await world.clock.advance(60.0)
    assert following.events.closed
    world.between.silent = False
    await world.run(host.subscribe(CHANNEL))


async def test_an_idle_socket_stays_open(world: RemoteWorld, host: RemoteLink) -> None:
    following = await host.subscribe(f"private-user.{'host'}")
    await world.clock.advance(600.0)
    assert not following.events.closed
    assert len(world.between.sockets) == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [(4001, Unauthenticated), (4003, Forbidden), (4004, Forbidden), (4009, Unauthenticated), (4050, Forbidden)],
)
async def test_a_code_that_says_stay_away_ends_readers_with_its_meaning(
    world: RemoteWorld, host: RemoteLink, code: int, error: type[UTDStreamException]
) -> None:
    following = await host.subscribe(CHANNEL)
    world.between.cut(code)
    await world.settle()
    with pytest.raises(error):
        await following.events.get()


async def test_a_code_that_says_later_is_obeyed(world: RemoteWorld, host: RemoteLink) -> None:
    await host.subscribe(CHANNEL)
    await world.clock.advance(30.0)
    world.between.cut(4100)
    await world.settle()
    began = world.clock.monotonic()
    await world.run(host.subscribe(CHANNEL))
    assert world.clock.monotonic() - began >= 1.0


async def test_a_socket_that_never_lasts_is_opened_less_and_less_often(world: RemoteWorld, host: RemoteLink) -> None:
    began = world.clock.monotonic()
    for _ in range(8):
        await world.run(host.subscribe(CHANNEL))
        world.between.cut()
        await world.settle()
    assert world.clock.monotonic() - began > 10.0


async def test_a_reader_that_is_too_slow_is_cut_off_and_can_come_back(world: RemoteWorld, host: RemoteLink) -> None:
    following = await host.subscribe(CHANNEL)
    following.events.capacity = 2
    for index in range(4):
        await host.execute(LockSeat(room=ROOM, index=index))
    read = [event async for event in until_closed(following.events)]
    assert len(read) == 2
    again = await host.subscribe(CHANNEL, recover=Recover(read[-1].epoch, read[-1].offset))
    await world.settle()
    assert again.recovered
    assert len(again.events) == 2


async def until_closed(queue: BoundedQueue[Envelope]) -> AsyncIterator[Envelope]:
    try:
        async for item in queue:
            yield item
    except Closed:
        return


async def test_somebody_who_is_kicked_hears_of_it_and_no_more(world: RemoteWorld, host: RemoteLink) -> None:
    guest = await signed_in(world, "guest")
    await guest.execute(JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM))
    following = await guest.subscribe(CHANNEL)
    await host.execute(RemoveParticipant(room=ROOM, identity="guest", block=True))
    await world.settle()
    seen = [event async for event in until_forbidden(following.events)]
    assert seen
    with pytest.raises(Banned):
        await guest.subscribe(CHANNEL)
    await guest.aclose()


async def until_forbidden(queue: BoundedQueue[Envelope]) -> AsyncIterator[Envelope]:
    try:
        async for item in queue:
            yield item
    except Forbidden:
        return
    pytest.fail("the end was not told")


async def test_a_token_is_renewed_before_it_expires_and_the_socket_stays() -> None:
    async with (
        RemoteWorld(settings=EngineSettings(user_token_ttl=100.0)) as world,
        aclosing(await signed_in(world, "host")) as host,
    ):
        assert host.session is not None
        first = host.session.user_token
        following = await host.subscribe("private-user.host")
        await world.clock.advance(1_000.0)
        assert host.session.user_token != first
        assert not following.events.closed
        assert 10 <= len(world.between.sent("/auth/session")) <= 14
        await host.execute(JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=True))


async def test_a_refused_token_is_renewed_once_however_many_commands_it_hits(
    world: RemoteWorld, host: RemoteLink
) -> None:
    assert host.session is not None
    stale = f"Bearer {host.session.user_token}"
    await world.clock.advance(5.0)

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.headers.get("authorization") != stale:
            return None
        return httpx.Response(401, json={"message": "no", "code": "unauthenticated"})

    world.between.answer = refuse
    before = len(world.between.sent("/auth/session"))
    await asyncio.gather(*(host.execute(LockSeat(room=ROOM, index=index)) for index in range(4)))
    assert len(world.between.sent("/auth/session")) == before + 1


async def test_who_is_banned_meanwhile_gets_no_new_token(world: RemoteWorld, host: RemoteLink) -> None:
    await world.engine.execute(CreateBan(identity="host", reason="enough"))
    world.between.answer = lambda request: (
        httpx.Response(401, json={"message": "no", "code": "unauthenticated"})
        if "authorization" in request.headers
        else None
    )
    with pytest.raises(Banned):
        await host.execute(GetSeats(room=ROOM))
    world.between.answer = None


async def test_closing_ends_whatever_waits(world: RemoteWorld, host: RemoteLink) -> None:
    world.between.away = True
    waiting = [asyncio.ensure_future(host.execute(LockSeat(room=ROOM, index=index))) for index in range(3)]
    waiting.append(asyncio.ensure_future(host.subscribe(CHANNEL)))
    await world.settle()
    await host.aclose()
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, Closed | Unavailable)
    with pytest.raises(Closed):
        await host.execute(GetSeats(room=ROOM))


@pytest.mark.parametrize("url", ["", "rtc.example.com", "ftp://x", "http://", None, "http://x?y=1"])
def test_what_is_no_base_url_is_refused(url: object) -> None:
    with pytest.raises(InvalidInput):
        RemoteLink("app", "key", base_url=url)  # type: ignore[arg-type]  # that is it
