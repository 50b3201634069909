"""Signs of life: who is asked, who is closed, who is cut; and pings of clients."""

from __future__ import annotations

from utd_core.server.pusher import CloseCode

from .world import World


async def test_a_ping_is_answered(world: World) -> None:
    client = await world.connect()
    client.say("pusher:ping")
    assert await client.hear() == {"event": "pusher:pong", "data": "{}"}


async def test_whoever_says_nothing_is_asked_and_whoever_answers_stays(world: World) -> None:
    client = await world.connect()
    for _ in range(3):
        await world.clock.advance(world.settings.activity_timeout + 1)
        assert (await client.hear())["event"] == "pusher:ping"
        client.say("pusher:pong")
        await client.hear_nothing()


async def test_whoever_does_not_answer_is_closed(world: World) -> None:
    client = await world.connect()
    await world.clock.advance(world.settings.activity_timeout + 1)
    await client.hear("pusher:ping")
    await world.clock.advance(world.settings.pong_timeout - 2)
    assert client.code is None
    await world.clock.advance(4)
    assert await client.closed() == CloseCode.NO_PONG


async def test_any_message_is_a_sign_of_life(world: World) -> None:
    client = await world.connect()
    for _ in range(5):
        await world.clock.advance(world.settings.activity_timeout - 5)
        client.say_text("no JSON")
        await client.hear("pusher:error")


async def test_being_sent_events_is_no_sign_of_life(room: World) -> None:
    """A half-open connection takes what it is sent for a long while."""
    client = await room.follower("ann")
    await room.clock.advance(room.settings.activity_timeout + 1)
    await room.join("bob")
    await room.clock.advance(room.settings.pong_timeout + 2)
    assert await client.closed() == CloseCode.NO_PONG


async def test_whoever_does_not_close_is_cut(world: World) -> None:
    client = await world.connect()
    client.stop_reading()
    silence = world.settings.activity_timeout + world.settings.pong_timeout
    await world.clock.advance(silence + world.settings.close_timeout + 4)
    assert world.hub.sockets == {}


async def test_one_that_is_gone_is_not_asked(world: World) -> None:
    client = await world.connect()
    await client.leave()
    await world.clock.advance(world.settings.activity_timeout * 3)
    statistics = world.hub.statistics()
    assert statistics.connections == 0
    assert statistics.closed == {}


async def test_nobody_is_asked_early(world: World) -> None:
    clients = [await world.connect() for _ in range(3)]
    await world.clock.advance(world.settings.activity_timeout / 2)
    clients[1].say("pusher:ping")
    await clients[1].hear("pusher:pong")
    await world.clock.advance(world.settings.activity_timeout / 2 + 1.5)
    await clients[0].hear("pusher:ping")
    await clients[2].hear("pusher:ping")
    await clients[1].hear_nothing()


async def test_time_stands_still_where_nobody_is_connected(world: World) -> None:
    await (await world.connect()).leave()
    await world.clock.advance(world.settings.linger + 10)
    pending = len(world.clock.pending)
    await world.connect()
    await world.clock.settle()
    assert len(world.clock.pending) == pending + 1
