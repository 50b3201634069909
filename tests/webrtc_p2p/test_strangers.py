"""Foreign programs on the line: a third, a stranger, one that says too much, too little or nonsense."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from utd_core.errors import ConnectFailed, DeadlineExceeded
from utd_core.media.backend import ConnectOptions, JoinTicket
from utd_core.media.events import DisconnectReason, ParticipantJoined, ParticipantLeft
from utd_core.model.permission import Grant
from utd_webrtc_p2p.line import REBUILD_INTERVAL
from utd_webrtc_p2p.peer import Peer
from utd_webrtc_p2p.protocol import (
    Bye,
    Candidate,
    Denied,
    Description,
    Done,
    Ended,
    GrantBody,
    Granted,
    Hello,
    Joined,
    Left,
    Message,
    Mute,
    Pairing,
    Ping,
    Pong,
    Publish,
    Published,
    Rebuild,
    Refused,
    TrackBody,
    Unpublished,
    Welcome,
)

from .test_sdp import GOOD
from .world import EVERYTHING, LISTENER, MICROPHONE, ROOM, becomes, stage

OFFER = Description(generation=1, kind="offer", sdp=GOOD)
TRACK = TrackBody(id="TR_0123456789abcdef", source=MICROPHONE)


async def test_a_third_participant_is_refused_and_disturbs_nobody() -> None:
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        with pytest.raises(ConnectFailed, match="full") as caught:
            await here.join("mal")
        assert caught.value.details["reason"] == "room_full"
        assert not [event for event in ann.told(ParticipantJoined) if event.participant.identity == "mal"]
        assert ann.connection.native.is_up
        assert bob.connection.native.is_up


@pytest.mark.parametrize("said", [OFFER, Candidate(generation=1, candidate=""), Rebuild(generation=1), Ping(), Bye()])
async def test_who_has_not_said_hello_is_not_heard(said: Message) -> None:
    async with stage() as here:
        first = await here.line("ann")
        second = await here.line("bob")
        stranger = await here.line()
        stranger.say(said)
        assert stranger.of(Refused)[0].reason == "protocol"
        assert stranger.is_hung_up
        assert not first.of(Description)
        assert not second.of(Description)


async def test_who_says_nonsense_is_hung_up_on_and_gone() -> None:
    async with stage() as here:
        ann, bob = await here.line("ann"), await here.line("bob")
        bob.say(b'{"type": "welcome"}')
        assert bob.of(Refused)
        assert bob.is_hung_up
        assert [message.identity for message in ann.of(Left)] == ["bob"]


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (Hello(token="forged"), "bad_token"),
        (Hello(token="forged", stay="guessed"), "bad_token"),
        (Hello(token="", version=3), "version"),
    ],
)
async def test_a_hello_that_does_not_come_in_is_told_why(hello: Hello, reason: str) -> None:
    async with stage() as here:
        line = await here.line()
        line.say(hello)
        assert [message.reason for message in line.of(Refused)] == [reason]
        assert line.is_hung_up


@pytest.mark.parametrize("of_bob", [False, True])
async def test_nobody_comes_back_to_the_stay_of_another(of_bob: bool) -> None:
    async with stage() as here:
        ann, bob = await here.line("ann"), await here.line("bob")
        stay = bob.of(Welcome)[0].stay if of_bob else "guessed"
        thief = await here.line()
        thief.say(Hello(token=ann.token, stay=stay))
        assert [message.reason for message in thief.of(Refused)] == ["stay_over"]
        assert not ann.is_hung_up


async def test_a_second_hello_is_refused() -> None:
    async with stage() as here:
        line = await here.line("ann")
        line.say(Hello(token="again"))
        assert line.of(Refused)


async def test_descriptions_go_to_the_other_one_only_and_of_this_generation_only() -> None:
    async with stage() as here:
        ann, bob = await here.line("ann"), await here.line("bob")
        assert [message.role for message in ann.of(Pairing)] == ["answerer"]
        assert [message.role for message in bob.of(Pairing)] == ["offerer"]
        bob.say(OFFER)
        bob.say(Description(generation=7, kind="offer", sdp=GOOD))
        assert ann.of(Description) == [OFFER]
        assert not bob.of(Description)


async def test_a_line_that_was_replaced_has_no_say_any_more() -> None:
    async with stage() as here:
        ann, bob = await here.line("ann"), await here.line("bob")
        again = await here.line("bob")
        assert [message.reason for message in bob.of(Ended)] == [DisconnectReason.DUPLICATE_IDENTITY]
        bob.say(OFFER.model_copy(update={"generation": 2}))
        bob.say(Bye())
        assert not ann.of(Description)
        assert not again.is_hung_up


async def test_pairings_that_are_asked_for_at_once_come_only_so_often() -> None:
    async with stage() as here:
        ann, _ = await here.line("ann"), await here.line("bob")
        for generation in range(1, 50):
            ann.say(Rebuild(generation=generation))
        assert [message.generation for message in ann.of(Pairing)] == [1]
        await here.backend.clock.sleep(REBUILD_INTERVAL)
        ann.say(Rebuild(generation=1))
        assert [message.generation for message in ann.of(Pairing)] == [1, 2]


async def test_a_track_without_a_grant_is_denied_and_nobody_hears_of_it() -> None:
    async with stage() as here:
        ann, mal = await here.line("ann"), await here.line("mal", LISTENER)
        mal.say(Publish(request=5, track=TRACK))
        assert [message.request for message in mal.of(Denied)] == [5]
        assert not ann.of(Published)
        mal.say(Mute(request=6, track=TRACK.id, muted=True))
        assert [message.request for message in mal.of(Done)] == [6]


async def test_nobody_publishes_under_the_id_of_anothers_track() -> None:
    async with stage() as here:
        ann, mal = await here.line("ann"), await here.line("mal")
        ann.say(Publish(request=1, track=TRACK))
        mal.say(Publish(request=1, track=TRACK))
        assert mal.of(Refused)
        assert not ann.of(Published)


async def test_a_request_said_again_changes_nothing() -> None:
    async with stage() as here:
        ann, bob = await here.line("ann"), await here.line("bob")
        for _ in range(3):
            ann.say(Publish(request=1, track=TRACK))
        assert len(ann.of(Done)) == 3
        assert len(bob.of(Published)) == 1


async def test_a_grant_taken_away_ends_the_track_on_both_lines() -> None:
    async with stage() as here:
        ann, bob = await here.line("ann"), await here.line("bob")
        ann.say(Publish(request=1, track=TRACK))
        await here.backend.control.apply_grant(ROOM, "ann", LISTENER)
        for line in (ann, bob):
            assert [message.track for message in line.of(Unpublished)] == [TRACK.id]
            assert [message.grant for message in line.of(Granted)] == [GrantBody.of(LISTENER)]


async def test_who_comes_back_over_a_new_line_hears_how_everything_is() -> None:
    async with stage() as here:
        ann, bob = await here.line("ann"), await here.line("bob")
        stay = ann.of(Welcome)[0].stay
        ann.lose()
        bob.say(Publish(request=1, track=TRACK))
        assert not bob.of(Left)
        back = await here.line()
        back.say(Hello(token=ann.token, stay=stay, generation=1))
        assert back.of(Welcome)[0].participants[0].tracks == (TRACK,)
        assert not back.of(Pairing), "the way of generation 1 is alive"
        again = await here.line()
        again.say(Hello(token=ann.token, stay=stay))
        assert [message.generation for message in again.of(Pairing)] == [2]


async def test_whose_line_is_lost_for_too_long_is_gone() -> None:
    async with stage(recovery_timeout=0.6) as here:
        ann, bob = await here.join("ann"), await here.line("bob")
        bob.lose()
        assert (await ann.expect(ParticipantLeft)).reason is DisconnectReason.SIGNAL_LOST


async def test_who_is_silent_is_asked_and_stays_if_it_answers() -> None:
    async with stage(recovery_timeout=0.6) as here:
        ann, bob = await here.line("ann"), await here.line("bob")

        def answering() -> bool:
            if len(ann.of(Ping)) > len(answered):
                answered.append(None)
                ann.say(Pong())
            return bool(ann.of(Left))

        answered: list[None] = []
        await becomes(answering, "the silent one gone")
        assert [message.identity for message in ann.of(Left)] == ["bob"]
        assert bob.of(Ended)


async def test_a_peer_that_never_answers_is_a_deadline_that_says_how_far_it_came() -> None:
    async with stage() as here:
        silent = await here.line("silent")
        with pytest.raises(DeadlineExceeded) as caught:
            await here.join("ann", options=ConnectOptions(deadline=0.5))
        for part in ("no way to the other", "ICE is new", "candidates here: ", " host", "there: none", "no answer"):
            assert part in caught.value.message, caught.value.message
        assert [message.participant.identity for message in silent.of(Joined)] == ["ann"]
        assert [message.identity for message in await becomes(lambda: silent.of(Left))] == ["ann"]
        assert [message.kind for message in silent.of(Description)] == ["offer"]


@pytest.mark.parametrize(
    "sdp", ["v=0\r\n", "", "x" * 1_000, GOOD, GOOD.replace("m=video", "m=audio"), GOOD.replace("a=mid:1", "a=mid:0")]
)
async def test_a_peer_that_answers_nonsense_is_a_deadline_that_says_so(sdp: str) -> None:
    async with stage(heartbeat=0.1) as here:
        mal = await here.line("mal")
        answered: set[int] = set()

        def answer() -> None:
            for offer in mal.of(Description):
                if offer.generation not in answered:
                    answered.add(offer.generation)
                    # Twice, too late and of another generation: only the first word counts.
                    for generation in (offer.generation, offer.generation, 0):
                        mal.say(Description(generation=generation, kind="answer", sdp=sdp))

        async def keep_answering() -> None:
            while True:
                answer()
                await here.backend.clock.sleep(0.02)

        here.scope.start(keep_answering)
        with pytest.raises(DeadlineExceeded, match="no way to the other participant"):
            await here.join("ann", options=ConnectOptions(deadline=1.0))
        assert len(answered) < 5, "a peer that cannot is not asked again as fast as it fails"


async def test_a_peer_that_says_everything_twice_is_heard_once(monkeypatch: pytest.MonkeyPatch) -> None:
    once = Peer._describe

    def twice(peer: Peer, kind: str) -> None:
        once(peer, kind)
        once(peer, kind)

    monkeypatch.setattr(Peer, "_describe", twice)
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        assert ann.connection.native.live_generation == bob.connection.native.live_generation
        voice = await ann.publish(MICROPHONE)
        here.play(voice)
        frames = bob.collect(await bob.reads(voice))
        await becomes(lambda: len(frames) > 10, "the hum")
        assert ann.connection.native.is_up
        assert bob.connection.native.is_up


async def test_an_answer_that_comes_too_late_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    in_time = Peer._describe
    late: list[tuple[Peer, str]] = []

    def first_too_late(peer: Peer, kind: str) -> None:
        if (peer.generation, kind) == (1, "answer"):
            late.append((peer, kind))
        else:
            in_time(peer, kind)

    monkeypatch.setattr(Peer, "_describe", first_too_late)
    async with stage(path_timeout=1.5) as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        (peer, _), generation = late[0], ann.connection.native.live_generation
        assert generation > 1, "another way was built, and answered in time"
        for person in (ann, bob):
            person.connection._life.say(Description(generation=1, kind="answer", sdp=GOOD))
            assert person.connection.native.live_generation == generation
        # In its own words, and to the other side's face.
        ann.connection.native.take(Description(generation=1, kind="answer", sdp=GOOD))
        voice = await ann.publish(MICROPHONE)
        here.play(voice)
        frames = bob.collect(await bob.reads(voice))
        await becomes(lambda: len(frames) > 10, "the hum")
        assert ann.connection.native.live_generation == bob.connection.native.live_generation == generation
        assert peer.native is None, "nothing is left of the first"


@pytest.mark.parametrize(
    "settings",
    [
        {"stun_urls": ["stun:127.0.0.1:9"]},
        {"turn_urls": ["turn:127.0.0.1:9?transport=udp"], "turn_secret": "any"},
        {"turn_urls": ["turn:127.0.0.1:9?transport=tcp"], "turn_secret": "any"},
    ],
    ids=["stun", "turn-udp", "turn-tcp"],
)
async def test_ice_servers_that_refuse_cost_time_at_most(settings: dict[str, Any]) -> None:
    """Port 9 of loopback: nobody listens there. Both sides wait for it in the same 5 s, and not one after the other."""
    async with stage(**settings) as here:
        began = here.backend.clock.monotonic()
        ann, bob = await asyncio.gather(
            *(here.join(name, options=ConnectOptions(deadline=60.0)) for name in ("ann", "bob"))
        )
        assert here.backend.clock.monotonic() - began < 9.0
        assert ann.connection.native.is_up
        assert bob.connection.native.is_up


async def test_a_candidate_that_makes_no_sense_ends_the_attempt_and_nothing_else() -> None:
    async with stage(heartbeat=0.1) as here:
        ann = await here.join("ann")
        mal = await here.line("mal")
        await becomes(lambda: mal.of(Pairing))
        mal.say(Candidate(generation=1, candidate="candidate:nonsense", mid="0"))
        await becomes(lambda: len(mal.of(Pairing)) > 1, "another attempt")
        mal.say(Bye())
        await ann.expect(ParticipantLeft)
        bob = await here.join("bob")
        assert bob.connection.native.is_up


async def test_a_ticket_of_elsewhere_is_a_connect_that_failed() -> None:
    async with stage() as here:
        ticket = await here.backend.control.issue_join(ROOM, "ann", grant=EVERYTHING)
        for url in ("p2p+local:nowhere", "https://example.com", ""):
            with pytest.raises(ConnectFailed):
                await here.backend.connect(JoinTicket(url, ticket.token, ticket.expires_at))


async def test_tickets_of_engines_with_one_secret_are_good_at_each_other() -> None:
    async with stage(secret="shared") as one, stage(secret="shared") as other:
        ticket = await one.backend.control.issue_join(ROOM, "ann", grant=Grant())
        line = await other.line()
        line.say(Hello(token=ticket.token))
        assert line.of(Welcome)
