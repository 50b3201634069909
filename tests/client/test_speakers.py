"""Who speaks and how people are, as a room folds it from what its connection tells."""

from __future__ import annotations

import pytest

from utd_core.client.media.roster import Roster
from utd_core.media.events import (
    ConnectionQuality,
    ParticipantInfo,
    ParticipantLeft,
    ParticipantUpdated,
    QualityChanged,
    Speaker,
    SpeakersChanged,
)
from utd_core.media.faults import Fault
from utd_core.media.sources.synthetic import ToneAudioSource

from .world import ROOM, World, now

MANY = {"duplicate_identity": "many"}


def told(**levels: float) -> SpeakersChanged:
    loudest = sorted(levels.items(), key=lambda item: -item[1])
    return SpeakersChanged(tuple(Speaker(identity, level) for identity, level in loudest))


def test_the_word_is_kept_until_another_is_clearly_louder_or_it_is_silent() -> None:
    roster = Roster()
    for levels, who in (
        ({"ann": -20.0}, "ann"),
        ({"bob": -16.0, "ann": -20.0}, "ann"),
        ({"bob": -14.0, "ann": -20.0}, "bob"),
        ({"ann": -13.0, "bob": -14.0}, "bob"),
        ({"ann": -13.0}, "ann"),
        ({}, None),
        ({"bob": -30.0, "ann": -31.0}, "bob"),
    ):
        assert roster.take(told(**levels))
        assert roster.dominant == who


def test_who_leaves_speaks_no_more() -> None:
    roster = Roster()
    roster.take(told(ann=-20.0, bob=-30.0))
    assert roster.take(ParticipantLeft("ann"))
    assert [speaker.identity for speaker in roster.speakers] == ["bob"]
    assert roster.dominant == "bob"
    assert not roster.take(ParticipantLeft("cyd"))


def test_somebody_of_whom_nothing_new_is_known_stays_the_same_object() -> None:
    roster = Roster()
    infos = {name: ParticipantInfo(name) for name in ("ann", "bob", "cyd")}
    before = {one.identity: one for one in roster.refresh(infos)}
    roster.take(told(ann=-20.0))
    roster.take(QualityChanged("bob", ConnectionQuality.GOOD))
    after = {one.identity: one for one in roster.refresh(infos)}
    assert (after["ann"].speaking, after["ann"].level) == (True, -20.0)
    assert after["bob"].quality is ConnectionQuality.GOOD
    assert after["cyd"] is before["cyd"]
    roster.clear()
    assert (roster.speakers, roster.dominant, dict(roster.people)) == ((), None, {})


@pytest.mark.parity("S5")
async def test_a_speaker_who_loses_the_connection_is_shown_so_and_comes_back(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    await world.run(host.take_seat(0))
    await world.run(host.set_microphone(True, ToneAudioSource(440, level=-20)))
    await world.run(listener.speakers.wait_for(timeout=5.0))
    await world.run(
        listener.remote_participants.wait_for(
            lambda people: people[0].quality is ConnectionQuality.EXCELLENT, timeout=10.0
        )
    )
    await world.backend.inject(Fault.FULL_RECONNECT, ROOM, "host", seconds=3.0)
    await world.run(listener.speakers.wait_for(lambda speakers: not speakers, timeout=2.0))
    assert now(listener.remote_participants)[0].quality is ConnectionQuality.LOST
    await world.run(listener.speakers.wait_for(timeout=10.0))
    assert now(listener.remote_participants)[0].quality is ConnectionQuality.EXCELLENT
    await world.run(listener.leave())
    assert now(listener.speakers) == ()
    assert now(listener.dominant_speaker) is None


@pytest.mark.parity("S5", "B9")
async def test_a_person_on_many_devices_speaks_once_and_is_connected_as_the_best_of_them(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options=MANY)
    phone = await world.audio_room("ada", device_id="phone")
    await world.audio_room("ada", device_id="tablet")
    events = host.events.reader()
    await world.run(phone.take_seat())
    await world.run(phone.set_microphone(True, ToneAudioSource(440, level=-20)))
    (speaker,) = await world.run(host.speakers.wait_for(timeout=5.0))
    assert speaker.identity == "ada"
    await world.run(host.remote_participants.wait_for(lambda people: people[0].quality is not None, timeout=10.0))
    control = world.backend.control
    for device in ("phone", "tablet"):
        await control.update_participant(ROOM, f"ada#{device}", attributes={"mood": "happy"})
    await world.settle()
    (ada,) = now(host.remote_participants)
    assert (ada.attributes, ada.speaking) == ({"mood": "happy"}, True)
    myself = phone.local_participant
    assert myself is not None
    assert (myself.identity, myself.attributes, myself.speaking) == ("ada", {"mood": "happy"}, True)
    await host.aclose()
    updates = [event async for event in events if isinstance(event, ParticipantUpdated)]
    assert [event.participant.identity for event in updates] == ["ada"]
