"""One identity on many devices: each is a connection of its own, and others see, hear and address one person."""

from __future__ import annotations

import pytest

from utd_core.client import UTDAudioRoomSession, UTDLiveStreamSession
from utd_core.errors import Conflict
from utd_core.media.events import DataReceived, ParticipantJoined, ParticipantLeft
from utd_core.model.permission import TrackSource

from .world import World, now

MANY = {"duplicate_identity": "many"}


async def phones(world: World) -> tuple[UTDAudioRoomSession, UTDAudioRoomSession, UTDAudioRoomSession]:
    """A host, and Ada on two devices."""
    host = await world.audio_room("host", as_host=True, options=MANY)
    phone = await world.audio_room("ada", device_id="phone")
    tablet = await world.audio_room("ada", device_id="tablet")
    await world.settle()
    return host, phone, tablet


@pytest.mark.parity("B9")
async def test_others_see_one_person_with_its_devices(world: World) -> None:
    host, phone, tablet = await phones(world)
    (ada,) = now(host.remote_participants)
    assert (ada.identity, sorted(ada.devices)) == ("ada", ["phone", "tablet"])
    assert host.room.participants["ada"] == ada
    myself = phone.local_participant
    assert myself is not None
    assert myself.identity == "ada"
    await world.run(tablet.leave())
    await world.settle()
    (ada,) = now(host.remote_participants)
    assert ada.devices == ("phone",)


@pytest.mark.parity("B9")
async def test_a_person_joins_with_the_first_device_and_leaves_with_the_last(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options=MANY)
    events = host.events.reader()
    phone = await world.audio_room("ada", device_id="phone")
    tablet = await world.audio_room("ada", device_id="tablet")
    await world.run(phone.leave())
    await world.run(tablet.leave())
    await world.settle()
    await host.aclose()
    seen = [event async for event in events if isinstance(event, ParticipantJoined | ParticipantLeft)]
    assert [type(event) for event in seen] == [ParticipantJoined, ParticipantLeft]
    joined, left = seen
    assert isinstance(joined, ParticipantJoined)
    assert isinstance(left, ParticipantLeft)
    assert joined.participant.identity == left.identity == "ada"


@pytest.mark.parity("B9")
async def test_the_person_is_heard_by_its_identity_from_whichever_device_speaks(world: World) -> None:
    host, phone, tablet = await phones(world)
    async with host.frames("ada") as frames:
        await world.run(tablet.take_seat(1))
        assert (await world.run(anext(frames))).data
        assert host.reader("ada").track.source is TrackSource.MICROPHONE
        await world.run(phone.set_microphone(True))
        await world.settle()
        (ada,) = now(host.remote_participants)
        assert [track.source for track in ada.tracks] == [TrackSource.MICROPHONE] * 2
        await world.run(tablet.leave())
        assert (await world.run(anext(frames))).data


@pytest.mark.parity("B9")
async def test_data_for_a_person_reaches_each_device_and_comes_from_the_person(world: World) -> None:
    host, phone, tablet = await phones(world)
    readers = [session.events.reader() for session in (phone, tablet)]
    heard = host.events.reader()
    await world.run(host.send_data(b"for ada", to=["ada"]))
    await world.run(tablet.send_data(b"for the host", to=["host"]))
    await world.settle()
    for session in (host, phone, tablet):
        await session.aclose()
    for reader in readers:
        data = [event async for event in reader if isinstance(event, DataReceived)]
        assert [(event.payload, event.sender) for event in data] == [(b"for ada", "host")]
    data = [event async for event in heard if isinstance(event, DataReceived)]
    assert [(event.payload, event.sender) for event in data] == [(b"for the host", "ada")]


@pytest.mark.parity("B9")
async def test_the_stage_names_a_person_that_is_there_on_two_devices(world: World) -> None:
    host: UTDLiveStreamSession = await world.live_stream("host", as_host=True, options=MANY)
    for device in ("phone", "tablet"):
        await world.live_stream("ada", device_id=device, name="Ada")
    await world.run(host.invite_to_stage("ada"))
    await world.settle()
    assert [(member.identity, member.name) for member in now(host.stage) if member.identity == "ada"] == [
        ("ada", "Ada")
    ]


@pytest.mark.parity("B9")
async def test_an_identity_with_the_dividing_sign_stays_itself(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.audio_room("ada#phone")
    await world.settle()
    (ada,) = now(host.remote_participants)
    assert (ada.identity, ada.devices) == ("ada#phone", ())


@pytest.mark.parity("B9")
async def test_two_clients_without_device_ids_are_two_devices(world: World) -> None:
    await world.audio_room("host", as_host=True, options={"duplicate_identity": "reject"})
    first = await world.audio_room("ann")
    second = await world.client("ann")
    with pytest.raises(Conflict, match="already"):
        await world.run(second.join_audio_room("lobby"))
    await world.settle()
    assert now(first.connected)
