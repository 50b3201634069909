"""Tickets, rooms and places: who is let in."""

from __future__ import annotations

import gc

import pytest

from utd_core.errors import Closed, ConnectFailed, DeadlineExceeded, InvalidInput, NotFound
from utd_core.media.backend import ConnectOptions, JoinTicket
from utd_core.media.events import ConnectionState, DisconnectReason, ParticipantJoined, ParticipantLeft, StateChanged
from utd_core.media.faults import Fault
from utd_core.model.identifiers import MAX_DEVICE, MAX_NAME, media_identity
from utd_core.testing import VirtualClock
from utd_mock import MockBackend, MockServer

from .stage import EVERYTHING, LISTENER, ROOM, SPEAKER, seen, sound, stage


async def refused(it: object, backend: MockBackend, ticket: JoinTicket) -> str:
    with pytest.raises(ConnectFailed) as caught:
        await backend.connect(ticket)
    return str(caught.value.details["reason"])


async def test_a_ticket_expires_at_its_instant_of_virtual_time() -> None:
    async with stage() as it:
        ticket = await it.control.issue_join(ROOM, "ann", grant=LISTENER, ttl=30.0)
        assert ticket.expires_at == it.clock.now() + 30.0
        await it.clock.advance(29.999_999)
        await (await it.backend.connect(ticket)).aclose()
        await it.clock.advance(0.000_001)
        assert await refused(it, it.backend, ticket) == "token_expired"


async def test_a_ticket_that_expires_during_the_round_trip_is_refused() -> None:
    async with stage(latency_ms=500) as it:
        ticket = await it.control.issue_join(ROOM, "ann", grant=LISTENER, ttl=0.9)
        with pytest.raises(ConnectFailed, match="expired"):
            await it.during(it.backend.connect(ticket))


async def test_a_token_holds_the_identity_the_room_the_name_and_the_grant() -> None:
    async with stage() as it:
        ann = await it.join("ann", SPEAKER, name="Ann Other")
        assert (ann.identity, ann.room, ann.grant) == ("ann", ROOM, SPEAKER)
        (info,) = await it.control.list_participants(ROOM)
        assert (info.identity, info.name, info.grant) == ("ann", "Ann Other", SPEAKER)
        assert info.joined_at == it.clock.now()


async def test_the_longest_identity_may_be_on_the_longest_device() -> None:
    longest = media_identity("x" * MAX_NAME, "y" * MAX_DEVICE)
    async with stage() as it:
        assert (await it.join(longest, SPEAKER)).identity == longest
        with pytest.raises(InvalidInput, match="must have 1 to 193 characters, got 194"):
            await it.join(longest + "z", SPEAKER)


@pytest.mark.parametrize(
    "spoil", [str.upper, lambda token: token[:-4], lambda token: "A" + token, lambda _: "", lambda _: "é.é"]
)
async def test_an_altered_token_is_refused(spoil: object) -> None:
    async with stage() as it:
        ticket = await it.control.issue_join(ROOM, "ann", grant=LISTENER)
        forged = JoinTicket(ticket.url, spoil(ticket.token), ticket.expires_at)  # type: ignore[operator]
        assert await refused(it, it.backend, forged) == "bad_token"


async def test_a_token_of_another_server_is_refused() -> None:
    async with stage() as it, stage() as other:
        ticket = await other.control.issue_join(ROOM, "ann", grant=LISTENER)
        stolen = JoinTicket(it.server.url, ticket.token, ticket.expires_at)
        assert await refused(it, it.backend, stolen) == "bad_token"


@pytest.mark.parametrize("url", ["mock://nowhere", "ws://127.0.0.1:7880", "", "mock://"])
async def test_an_address_where_nobody_is_fails(url: str) -> None:
    async with stage() as it:
        assert await refused(it, it.backend, JoinTicket(url, "token", 0.0)) == "server_away"


async def test_a_closed_room_refuses_and_so_does_one_never_made() -> None:
    async with stage() as it:
        ticket = await it.control.issue_join(ROOM, "ann", grant=LISTENER)
        await it.control.close_room(ROOM)
        assert await refused(it, it.backend, ticket) == "room_not_found"
        never = await it.control.issue_join("never", "ann", grant=LISTENER)
        assert await refused(it, it.backend, never) == "room_not_found"


async def test_a_full_room_refuses_but_not_who_replaces_itself() -> None:
    async with stage() as it:
        await it.control.create_room(ROOM, max_participants=2)
        ann = await it.join("ann")
        await it.join("bob")
        ticket = await it.control.issue_join(ROOM, "cid", grant=LISTENER)
        assert await refused(it, it.backend, ticket) == "room_full"
        await it.join("ann")
        assert seen(ann)[-1] == StateChanged(ConnectionState.DISCONNECTED, DisconnectReason.DUPLICATE_IDENTITY)
        assert await refused(it, it.backend, ticket) == "room_full"
        await it.control.create_room(ROOM, max_participants=3)
        await it.backend.connect(ticket)


async def test_a_replaced_identity_leaves_before_it_joins_again() -> None:
    async with stage() as it:
        bob = await it.join("bob")
        first = await it.join("ann")
        await it.publish(first)
        seen(bob)
        await it.join("ann")
        events = seen(bob)
        told = [event for event in events if isinstance(event, ParticipantLeft | ParticipantJoined)]
        assert told[0] == ParticipantLeft("ann", DisconnectReason.DUPLICATE_IDENTITY)
        assert isinstance(told[1], ParticipantJoined)
        assert bob.participants["ann"].tracks == ()
        await first.aclose()
        assert set(bob.participants) == {"ann"}, "the old connection's close does not remove the new one"


async def test_a_second_backend_connects_by_the_address_in_the_ticket() -> None:
    async with stage() as it:
        other = MockBackend({}, it.clock)
        try:
            ann = await it.join("ann")
            bob = await it.join("bob", backend=other)
            track = await it.publish(ann)
            reader = bob.read(track.info.id)
            await track.write(sound(3))
            assert await anext(reader) == sound(3)
            assert ROOM not in other.server.rooms
        finally:
            await other.aclose()
        assert await it.control.list_participants(ROOM) == [ann.native.info()]


async def test_a_shared_server_outlives_the_backends_that_use_it() -> None:
    clock = VirtualClock()
    server = MockServer(clock)
    first = MockBackend({"server": server}, clock)
    await first.control.create_room(ROOM)
    ticket = await first.control.issue_join(ROOM, "ann", grant=LISTENER)
    await first.aclose()
    second = MockBackend({"server": server}, clock)
    assert await second.control.list_rooms() == [ROOM]
    connection = await second.connect(ticket)
    await server.aclose()
    assert connection.state is ConnectionState.DISCONNECTED
    assert seen(connection)[-1] == StateChanged(ConnectionState.DISCONNECTED, DisconnectReason.SERVER_SHUTDOWN)
    with pytest.raises(ConnectFailed, match="closed"):
        await second.control.list_rooms()
    assert await refused(None, second, ticket) == "server_away"
    await second.aclose()
    await server.aclose()


async def test_a_forgotten_server_is_no_longer_reachable() -> None:
    clock = VirtualClock()
    backend = MockBackend({"server_id": "forgotten"}, clock)
    del backend
    gc.collect()
    again = MockBackend({"server_id": "forgotten"}, clock)
    with pytest.raises(InvalidInput, match="running already"):
        MockBackend({"server_id": "forgotten"}, clock)
    await again.aclose()


async def test_connect_gives_up_at_its_deadline_and_not_before() -> None:
    async with stage() as it:
        await it.inject(Fault.CONNECT_SILENCE, "ann")
        ticket = await it.control.issue_join(ROOM, "ann", grant=LISTENER)
        begin = it.clock.monotonic()
        with pytest.raises(DeadlineExceeded, match="within 4"):
            await it.during(it.backend.connect(ticket, ConnectOptions(deadline=4.0)))
        assert it.clock.monotonic() - begin == 4.0
        await it.backend.connect(ticket)


async def test_a_network_slower_than_the_deadline_is_a_deadline_exceeded() -> None:
    async with stage(latency_ms=600) as it:
        ticket = await it.control.issue_join(ROOM, "ann", grant=LISTENER)
        with pytest.raises(DeadlineExceeded):
            await it.during(it.backend.connect(ticket, ConnectOptions(deadline=1.0)))
        assert it.clock.monotonic() == 1.0
        assert await it.control.list_participants(ROOM) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"latency": 1}, "no setting 'latency'"),
        ({"latency_ms": -1}, "'latency_ms'"),
        ({"jitter_ms": "5"}, "'jitter_ms'"),
        ({"loss": 1.1}, "'loss'"),
        ({"loss": True}, "'loss'"),
        ({"seed": 1.5}, "'seed'"),
        ({"server_id": ""}, "'server_id'"),
        ({"server": "mock://x"}, "must be a MockServer"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        MockBackend(settings)


async def test_a_given_server_comes_alone() -> None:
    async with stage() as it:
        with pytest.raises(InvalidInput, match="comes alone"):
            MockBackend({"server": it.server, "loss": 0.1})


@pytest.mark.parametrize("options", [ConnectOptions(deadline=0), ConnectOptions(event_capacity=0), "fast"])
async def test_bad_connect_options_are_refused(options: object) -> None:
    async with stage() as it:
        ticket = await it.control.issue_join(ROOM, "ann", grant=EVERYTHING)
        with pytest.raises(InvalidInput):
            await it.backend.connect(ticket, options)  # type: ignore[arg-type]


@pytest.mark.parametrize("ttl", [0, -1, float("inf"), float("nan"), "10", True])
async def test_a_bad_time_to_live_is_refused(ttl: object) -> None:
    async with stage() as it:
        with pytest.raises(InvalidInput, match="ttl"):
            await it.control.issue_join(ROOM, "ann", grant=EVERYTHING, ttl=ttl)  # type: ignore[arg-type]


async def test_an_unknown_room_or_participant_has_no_faults() -> None:
    async with stage() as it:
        with pytest.raises(NotFound):
            await it.backend.inject(Fault.SIGNAL_DROP, "nowhere", "ann")
        with pytest.raises(NotFound):
            await it.inject(Fault.SIGNAL_DROP, "nobody")


async def test_a_closed_backend_refuses_everything_with_closed() -> None:
    async with stage() as it:
        ticket = await it.control.issue_join(ROOM, "ann", grant=EVERYTHING)
        await it.backend.aclose()
        for operation in (
            lambda: it.backend.connect(ticket),
            it.control.list_rooms,
            lambda: it.inject(Fault.SIGNAL_DROP, "ann"),
        ):
            with pytest.raises(Closed):
                await operation()
        with pytest.raises(Closed):
            it.control.notifications()
