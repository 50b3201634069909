"""What an application is told, in which order, and what happens when it does not listen."""

from __future__ import annotations

import asyncio
import json
import logging
from itertools import pairwise
from typing import Any

import pytest

from utd_core.errors import Closed, InvalidInput, StoreFailed
from utd_core.model.bans import BanScope
from utd_core.model.command import Actor
from utd_core.model.commands import CreateBan, StartCall
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.webhooks import Webhooks
from utd_core.server.webhooks.schedule import DAY, HOUR, QUICK, next_try
from utd_core.testing import VirtualClock

from .world import SECRET, URL, World, a_store, an_endpoint

LASTING = an_endpoint(types=("room_created", "metadata_changed"))
"""Is not told that a room in which nobody is ends in the meantime."""


class TestWhatIsTold:
    async def test_an_event_with_where_and_when_and_in_which_place(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            at = utd_clock.now()
            await world.create("lobby")
            await world.change("lobby")
            await world.until(lambda: len(world.application.taken) == 2)
            made, changed = world.application.taken
            assert (made.type, changed.type) == ("room_created", "metadata_changed")
            assert (made.room, made.call, made.app_id, made.at, made.attempt) == ("lobby", None, "shop", at, 1)
            head = await world.engine._store.head("private-room.lobby")  # type: ignore[union-attr]
            assert (changed.sequence, changed.epoch) == (head.offset, head.epoch)
            assert changed.data["metadata"] == {"n": 0}
            assert made.id != changed.id

    async def test_calls_too(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            call = await world.engine.execute(
                StartCall(callee="ben", type=UTDStreamType.AUDIO_CALL), actor=Actor("ann")
            )
            await world.until(lambda: world.application.taken)
            (told,) = world.application.taken
            assert (told.type, told.call, told.room, told.sequence) == ("call_started", call.call_id, None, 1)

    async def test_bans_with_their_words_which_a_rooms_channel_keeps_back(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            await world.create("lobby")
            for room in ("lobby", None):
                for identity in ("ben", "cem"):
                    await world.engine.execute(CreateBan(room=room, identity=identity, reason="rude"))
            await world.until(lambda: len(world.application.taken) == 5)
            bans = [each for each in world.application.taken if each.type == "ban_made"]
            assert all(each.data["ban"]["reason"] == "rude" for each in bans)
            everywhere = [each for each in bans if each.data["ban"]["scope"] == BanScope.PROJECT]
            assert [(each.room, each.epoch, each.sequence) for each in everywhere] == [(None, None, 1), (None, None, 2)]

    async def test_only_what_was_asked_for(self, utd_clock: VirtualClock) -> None:
        endpoint = an_endpoint(types=("room_*", "seat_taken"))
        async with World(utd_clock, endpoints=(endpoint,)) as world:
            await world.create("lobby")
            await world.change("lobby", 3)
            await world.end("lobby")
            await world.until(lambda: len(world.application.taken) == 2)
            assert [each.type for each in world.application.taken] == ["room_created", "room_ended"]
            # What was left out has its place all the same.
            assert world.application.sequences("lobby") == [1, 5]

    async def test_each_endpoint_everything(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock, endpoints=(an_endpoint("one"), an_endpoint("two"))) as world:
            await world.create("lobby")
            await world.until(lambda: len(world.application.taken) == 2)
            assert len({each.id for each in world.application.taken}) == 1

    async def test_nothing_of_a_command_that_was_refused(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            await world.create("lobby")
            with pytest.raises(Exception, match="exists"):
                await world.create("lobby")
            await utd_clock.advance(60)
            assert len(world.application.told) == 1

    async def test_nothing_of_a_commit_that_failed(
        self, utd_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with World(utd_clock) as world:
            await world.create("lobby")
            store: Any = world.engine._store
            commit = store.commit

            async def fails(_: object) -> None:
                raise StoreFailed("full")

            monkeypatch.setattr(store, "commit", fails)
            with pytest.raises(StoreFailed):
                await world.change("lobby")
            monkeypatch.setattr(store, "commit", commit)
            await world.change("lobby")
            await world.until(lambda: len(world.application.taken) == 2)
            assert world.application.sequences("lobby") == [1, 2]


class TestOrder:
    async def test_of_a_room_is_kept_and_never_two_at_once(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            await world.create("lobby")
            world.application.answer = lambda _: 0.05
            await asyncio.gather(*(world.change("lobby") for _ in range(120)))
            await world.until(lambda: len(world.application.taken) == 121, 60)
            assert world.application.sequences("lobby") == list(range(1, 122))
            assert world.application.most_at_once == 1

    async def test_of_a_room_is_kept_through_failures(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock, endpoints=(LASTING,)) as world:
            fails = {3: 2, 4: 1, 9: 6}

            def answer(delivery: Any) -> int:
                fails[delivery.sequence] = fails.get(delivery.sequence, 0) - 1
                return 500 if fails[delivery.sequence] >= 0 else 200

            world.application.answer = answer
            await world.create("lobby")
            await world.change("lobby", 11)
            await world.until(lambda: len(world.application.taken) == 12, 2 * HOUR)
            assert world.application.sequences("lobby") == list(range(1, 13))

    async def test_a_room_that_fails_holds_up_no_other(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock, concurrency=2) as world:
            world.application.answer = lambda delivery: 500 if delivery.room == "bad" else 200
            await world.create("bad", "good")
            await world.change("bad", 5)
            await world.change("good", 5)
            await world.until(lambda: len(world.application.taken) == 6, 1)
            assert {each.sequence for each in world.application.told if each.room == "bad"} == {1}

    async def test_a_room_that_is_slow_holds_up_no_other(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            world.application.answer = lambda delivery: 9.0 if delivery.room == "slow" else 200
            await world.create("slow", "fast")
            await world.until(lambda: world.application.taken, 1)
            assert world.application.taken[0].room == "fast"

    async def test_an_endpoint_that_is_slow_holds_up_no_other(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock, endpoints=(an_endpoint("one"), an_endpoint("two")), concurrency=1) as world:
            seen: list[str] = []

            def answer(delivery: Any) -> float:
                seen.append(delivery.id)
                return 9.0 if len(seen) == 1 else 0.01

            world.application.answer = answer
            await world.create("lobby")
            await world.until(lambda: world.application.taken, 1)

    async def test_no_more_are_under_way_than_allowed(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock, concurrency=3) as world:
            most = 0

            def answer(_: Any) -> float:
                nonlocal most
                most = max(most, sum(world.application.under_way.values()))
                return 1.0

            world.application.answer = answer
            await world.create(*(f"room {n}" for n in range(10)))
            await world.until(lambda: len(world.application.taken) == 10, 60)
            assert most == 3


class TestTryingAgain:
    def test_is_at_0_2_4_8_16_32_seconds_and_then_hourly_for_a_day(self) -> None:
        tries, now = [0.0], 0.0
        while (again := next_try(0.0, 0.0, now)) is not None:
            tries.append(again)
            now = again
        assert tries[:6] == list(QUICK)
        assert [later - earlier for earlier, later in pairwise(tries[5:])] == [HOUR] * 24
        assert tries[-1] == 32 + DAY

    def test_of_one_that_waited_for_a_day_is_short(self) -> None:
        tries, now = [0.0], 0.0
        while (again := next_try(-DAY, 0.0, now)) is not None:
            tries.append(again)
            now = again
        assert tries == list(QUICK)

    def test_leaves_out_what_is_past(self) -> None:
        assert next_try(0.0, 0.0, 10.0) == 16.0
        assert next_try(0.0, 0.0, 5 * HOUR) == 5 * HOUR + 32.0

    @pytest.mark.parametrize("failure", [500, 404, 301, 0, 99.0])
    async def test_happens_whatever_went_wrong(self, utd_clock: VirtualClock, failure: float) -> None:
        async with World(utd_clock) as world:
            world.application.answer = lambda delivery: 200 if delivery.attempt == 3 else failure
            began = utd_clock.now()
            await world.create("lobby")
            await world.until(lambda: world.application.taken, 60)
            assert [each.attempt for each in world.application.told] == [1, 2, 3]
            assert len({each.id for each in world.application.told}) == 1
            if failure != 99.0:
                assert [round(each.sent_at - began) for each in world.application.told] == [0, 2, 4]

    async def test_ends_after_a_day_and_the_room_goes_on(
        self, utd_clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, "utd_core.server")
        async with World(utd_clock, endpoints=(LASTING,)) as world:
            world.application.answer = lambda delivery: 503 if delivery.sequence == 1 else 200
            await world.create("lobby")
            await world.change("lobby")
            await world.until(lambda: world.application.taken, 26 * HOUR)
            assert len(world.application.told) == 30 + 1
            (dead,) = await world.webhooks.dead_letters()
            assert (dead.outgoing.type, dead.tries, dead.reason) == ("room_created", 30, "it answered 503")
            assert "given up" in caplog.text
            assert (await world.webhooks.statistics())["hook"].dead == 1

    async def test_of_a_dead_letter_is_for_whoever_asks(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock, endpoints=(LASTING,)) as world:
            world.application.answer = lambda _: 503
            await world.create("lobby")
            await utd_clock.advance(26 * HOUR)
            (dead,) = await world.webhooks.dead_letters()
            world.application.answer = lambda _: 200
            assert await world.webhooks.redeliver(dead.number)
            assert not await world.webhooks.redeliver(dead.number)
            await world.until(lambda: world.application.taken, 1)
            assert world.application.taken[0].id == dead.outgoing.id
            assert await world.webhooks.dead_letters() == []

    async def test_is_not_needed_for_a_redirect_that_leads_elsewhere(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            world.application.answer = lambda _: 302
            await world.create("lobby")
            await utd_clock.advance(1)
            assert len(world.application.told) == 1
            assert (await world.webhooks.statistics())["hook"].failed == 1


class TestLosingNothing:
    async def test_what_an_engine_left_is_delivered_by_the_next_one(self, utd_clock: VirtualClock) -> None:
        async with a_store() as store:
            async with World(utd_clock, store=store, flush_timeout=1.0) as first:
                first.application.answer = lambda _: 500
                await first.create("lobby")
                await first.change("lobby", 2)
            async with World(utd_clock, store=store) as second:
                await second.until(lambda: len(second.application.taken) == 3, 60)
                assert second.application.sequences("lobby") == [1, 2, 3]

    async def test_what_was_under_way_when_a_node_was_lost_comes_again(self, utd_clock: VirtualClock) -> None:
        async with a_store() as store:
            lost = World(utd_clock, store=store)
            lost.application.answer = lambda _: 9.0
            async with lost.engine:
                await lost.webhooks.__aenter__()
                await lost.create("lobby")
                await lost.until(lambda: lost.application.told, 1)
                await lost.webhooks.aclose()
            async with World(utd_clock, store=store) as other:
                await other.until(lambda: other.application.taken, 60)
                assert other.application.taken[0].id == lost.application.told[0].id

    async def test_what_was_committed_while_nothing_was_delivered_is_delivered_later(
        self, utd_clock: VirtualClock
    ) -> None:
        world = World(utd_clock)
        async with world.engine:
            await world.create("lobby")
            async with world.webhooks:
                await world.until(lambda: world.application.taken, 1)

    async def test_a_store_that_fails_for_a_while_loses_none(
        self, utd_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.CRITICAL, "utd_core.server")
        async with World(utd_clock) as world:
            outbox = type(world.engine._store.outbox)  # type: ignore[union-attr]
            claim, delivered = outbox.claim, outbox.delivered

            async def fails(*_: object) -> Any:
                raise StoreFailed("locked")

            monkeypatch.setattr(outbox, "claim", fails)
            await world.create("lobby")
            await utd_clock.advance(5)
            assert world.application.told == []
            monkeypatch.setattr(outbox, "claim", claim)
            monkeypatch.setattr(outbox, "delivered", fails)
            await world.until(lambda: world.application.taken, 5)
            monkeypatch.setattr(outbox, "delivered", delivered)
            # That it was taken could not be noted, so it comes again.
            await world.until(lambda: len(world.application.taken) == 2, 60)
            assert len({each.id for each in world.application.taken}) == 1
            await utd_clock.advance(60)
            assert len(world.application.taken) == 2

    async def test_leaving_delivers_what_is_due(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            world.application.answer = lambda _: 1.0
            await world.create("lobby", "attic")
        assert len(world.application.taken) == 2

    async def test_leaving_does_not_wait_for_those_who_never_answer(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock, flush_timeout=3.0) as world:
            world.application.answer = lambda _: 9.0
            await world.create("lobby")
            began = utd_clock.now()
        assert world.application.taken == []
        assert round(utd_clock.now() - began) == 3


class TestNodes:
    async def test_of_two_on_one_store_each_event_is_taken_once_and_in_order(self, utd_clock: VirtualClock) -> None:
        async with a_store() as store, World(utd_clock, store=store) as one:
            other = Webhooks((an_endpoint(),), clock=utd_clock, transport=one.application)
            other.attach(store.outbox)
            async with other:
                one.application.answer = lambda _: 0.02
                await one.create("lobby", "attic")
                for _ in range(20):
                    await asyncio.gather(one.change("lobby"), one.change("attic"))
                await one.until(lambda: len(one.application.taken) == 42, 60)
                assert one.application.sequences("lobby") == list(range(1, 22))
                assert one.application.sequences("attic") == list(range(1, 22))
                assert one.application.most_at_once == 1

    async def test_what_another_one_left_behind_is_found_in_a_while(self, utd_clock: VirtualClock) -> None:
        async with a_store() as store:
            silent = World(utd_clock, store=store)
            async with silent.engine:
                found = Webhooks((an_endpoint(),), clock=utd_clock, transport=silent.application)
                found.attach(store.outbox)
                async with found:
                    await utd_clock.advance(1)
                    # Nobody wakes the other node's couriers.
                    await silent.create("lobby")
                    await silent.until(lambda: silent.application.taken, 5.1)


class TestChanging:
    """Endpoints of a server that runs."""

    async def test_one_that_is_added_is_told_what_happens_from_then_on(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock, endpoints=()) as world:
            await world.create("lobby")
            world.webhooks.update([an_endpoint()])
            await world.change("lobby")
            await world.until(lambda: world.application.taken, 1)
            assert world.application.sequences("lobby") == [2]

    async def test_one_that_is_removed_is_told_no_more_and_what_waited_comes_when_it_is_back(
        self, utd_clock: VirtualClock
    ) -> None:
        async with World(utd_clock) as world:
            world.application.answer = lambda _: 500
            await world.create("lobby")
            await world.until(lambda: world.application.told, 1)
            world.webhooks.update([])
            await world.change("lobby")
            await utd_clock.advance(60)
            assert len(world.application.told) == 1
            world.application.answer = lambda _: 200
            world.webhooks.update([an_endpoint()])
            await world.change("lobby")
            await world.until(lambda: len(world.application.taken) == 2, 60)
            assert world.application.sequences("lobby") == [1, 3]

    async def test_one_that_is_removed_in_the_middle_of_a_room_hands_the_rest_back(
        self, utd_clock: VirtualClock
    ) -> None:
        async with World(utd_clock) as world:
            world.application.answer = lambda _: 1.0
            await world.create("lobby")
            await world.change("lobby", 5)
            await world.until(lambda: len(world.application.told) == 2, 5)
            world.webhooks.update([])
            await utd_clock.advance(30)
            assert world.application.sequences("lobby") == [1, 2]
            world.webhooks.update([an_endpoint()])
            await world.until(lambda: len(world.application.taken) == 6, 5.1 + 6)
            assert world.application.sequences("lobby") == [1, 2, 3, 4, 5, 6]

    async def test_of_a_url_and_a_secret_is_in_use_at_the_next_try(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            world.application.answer = lambda _: 500
            await world.create("lobby")
            await world.until(lambda: world.application.told, 1)
            other = "the-new-secret-of-the-endpoint"
            world.application.secret = other
            world.application.answer = lambda _: 200
            world.webhooks.update([an_endpoint(url="https://other.example.com/", secrets=(other, SECRET))])
            await world.until(lambda: world.application.taken, 3)
            assert world.application.urls == {URL, "https://other.example.com/"}

    async def test_what_was_under_way_when_it_changed_is_finished(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            world.application.answer = lambda _: 5.0
            await world.create("lobby")
            await world.until(lambda: world.application.told, 1)
            world.webhooks.update([an_endpoint(types=("room_*",))])
            await world.until(lambda: world.application.taken, 6)
            assert [each.attempt for each in world.application.told] == [1]

    async def test_of_types_is_in_force_at_the_next_event(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            await world.create("lobby")
            await world.change("lobby")
            world.webhooks.update([an_endpoint(types=("room_ended",))])
            await world.change("lobby")
            await world.end("lobby")
            await world.until(lambda: len(world.application.taken) == 3, 1)
            assert world.application.sequences("lobby") == [1, 2, 4]

    async def test_to_two_of_one_name_is_refused_and_changes_nothing(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            with pytest.raises(InvalidInput, match="one name"):
                world.webhooks.update([an_endpoint(), an_endpoint()])
            await world.create("lobby")
            await world.until(lambda: world.application.taken, 1)


class TestStatistics:
    async def test_tell_what_waits_and_for_how_long(self, utd_clock: VirtualClock) -> None:
        async with World(utd_clock) as world:
            world.application.answer = lambda _: 500
            await world.create("lobby")
            await world.change("lobby", 2)
            await utd_clock.advance(10)
            found = (await world.webhooks.statistics())["hook"]
            assert (found.waiting, round(found.age), found.delivered, found.failed) == (3, 10, 0, 4)
            world.application.answer = lambda _: 200
            await utd_clock.advance(10)
            found = (await world.webhooks.statistics())["hook"]
            assert (found.waiting, found.age, found.delivered) == (0, 0.0, 3)


def test_two_endpoints_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInput, match="one name"):
        Webhooks((an_endpoint(), an_endpoint()))


async def test_without_an_engine_there_is_nothing_to_deliver() -> None:
    with pytest.raises(Closed, match="outlets"):
        await Webhooks((an_endpoint(),)).__aenter__()


async def test_the_secret_is_in_nothing_but_the_signature(
    utd_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with World(utd_clock) as world:
        world.application.answer = lambda delivery: 500 if delivery.attempt < 3 else 200
        await world.create("lobby")
        await world.until(lambda: world.application.taken, 60)
        assert SECRET not in json.dumps([record.getMessage() for record in caplog.records])
        assert SECRET not in repr(world.webhooks._endpoints)
