"""What `Store` promises, on every kind of store."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from utd_core.errors import Closed, Conflict, InvalidInput, StoreFailed
from utd_core.model.room import MetadataChanged
from utd_core.store import Commit, Envelope, Head, Remains
from utd_core.store.sql_store import SqlStore

from .rows import CHANNEL, ROOM, answer, envelopes, event, offsets, publish, put, state


class TestStates:
    async def test_nothing_is_there_at_first(self, store: SqlStore) -> None:
        assert await store.load(ROOM, "lobby") is None
        assert await store.states(ROOM, ended=None) == []
        assert await store.next_deadline() is None
        assert await store.due(1e12) == []

    async def test_what_was_committed_is_loaded(self, store: SqlStore) -> None:
        written = state(version=7, payload=b'{"name": "\xc3\xa9"}', deadline=12.5, ended_at=9.5)
        await put(store, written)
        assert await store.load(ROOM, "lobby") == written
        assert await store.load("call", "lobby") is None
        assert await store.load(ROOM, "Lobby") is None

    async def test_a_version_that_is_not_the_expected_one_is_a_conflict(self, store: SqlStore) -> None:
        await put(store, state(version=3))
        for expected in (1, 2, 4):
            with pytest.raises(Conflict, match="lobby"):
                await store.commit(Commit(states=[(state(version=9, payload=b"no"), expected)]))
        assert await store.load(ROOM, "lobby") == state(version=3)
        await store.commit(Commit(states=[(state(version=4, payload=b"yes"), 3)]))
        assert await store.load(ROOM, "lobby") == state(version=4, payload=b"yes")

    async def test_a_key_that_exists_cannot_be_new(self, store: SqlStore) -> None:
        await put(store, state())
        with pytest.raises(Conflict):
            await put(store, state(payload=b"second"))

    async def test_a_key_that_does_not_exist_has_no_version(self, store: SqlStore) -> None:
        with pytest.raises(Conflict):
            await store.commit(Commit(states=[(state(version=2), 1)]))

    async def test_two_creations_of_one_key_at_once_make_one(self, store: SqlStore) -> None:
        results = await asyncio.gather(
            *(put(store, state(payload=str(n).encode())) for n in range(8)), return_exceptions=True
        )
        assert [type(result) for result in results if result is not None] == [Conflict] * 7
        kept = await store.load(ROOM, "lobby")
        assert kept is not None
        assert kept.payload == str(results.index(None)).encode()

    async def test_a_name_used_again_after_the_end_goes_on_with_its_versions(self, store: SqlStore) -> None:
        await put(store, state(version=5, ended_at=1.0))
        with pytest.raises(Conflict):
            await put(store, state(version=1))
        await store.commit(Commit(states=[(state(version=6, payload=b"new"), 5)]))
        assert await store.load(ROOM, "lobby") == state(version=6, payload=b"new")

    @pytest.mark.parametrize(("version", "expected"), [(3, 3), (2, 3), (0, 0), (1, -1)])
    async def test_a_version_must_rise(self, store: SqlStore, version: int, expected: int) -> None:
        with pytest.raises(StoreFailed, match="rise"):
            await store.commit(Commit(states=[(state(version=version), expected)]))

    async def test_lists_go_by_key_and_end(self, store: SqlStore) -> None:
        await put(
            store, *(state(key, ended_at=1.0 if key in "bd" else None) for key in "dbace"), state("f", kind="call")
        )

        async def keys(**choice: object) -> str:
            return "".join(row.key for row in await store.states(ROOM, **choice))  # type: ignore[arg-type]  # as given

        assert await keys() == "ace"
        assert await keys(ended=True) == "bd"
        assert await keys(ended=None) == "abcde"
        assert await keys(after="b", ended=None, limit=2) == "cd"
        assert await keys(after="a") == "ce"
        assert await keys(after="e") == ""

    async def test_deadlines_come_oldest_first(self, store: SqlStore) -> None:
        await put(
            store,
            state("late", deadline=30.0),
            state("soon", deadline=10.0, kind="call"),
            state("next", deadline=20.0),
            state("never"),
        )
        assert await store.next_deadline() == 10.0
        assert await store.due(9.9) == []
        assert await store.due(20.0) == [("call", "soon", 1), (ROOM, "next", 1)]
        assert await store.due(99.0, limit=1) == [("call", "soon", 1)]
        await store.commit(Commit(states=[(state("soon", 2, kind="call"), 1)]))
        assert await store.next_deadline() == 20.0


class TestEvents:
    async def test_a_channel_begins_at_zero_in_the_epoch_of_the_database(self, store: SqlStore) -> None:
        head = await store.head(CHANNEL)
        assert head.offset == 0
        assert head.epoch
        assert (await store.head("private-user.bob")).epoch == head.epoch
        assert await store.history(CHANNEL, head.epoch, 0, 10) == []
        await publish(store, 2)
        assert await store.head(CHANNEL) == type(head)(head.epoch, 2)

    async def test_events_come_back_as_they_were(self, store: SqlStore) -> None:
        head = await store.head(CHANNEL)
        written = [
            Envelope(CHANNEL, head.epoch, 1, ROOM, "lobby", 1.25, event("ālice\n\u2028")),
            Envelope(CHANNEL, head.epoch, 2, "call", "c-1", 2.5, MetadataChanged({"a": [1, None, 2.5]}, 3, "bob")),
        ]
        await store.commit(Commit(events=written))
        assert await store.history(CHANNEL, head.epoch, 0, 10) == written
        assert await store.history(CHANNEL, head.epoch, 1, 10) == written[1:]
        assert await store.history(CHANNEL, head.epoch, 0, 1) == written[:1]
        assert await store.history(CHANNEL, head.epoch, 2, 10) == []

    async def test_a_future_offset_or_another_epoch_has_no_history(self, store: SqlStore) -> None:
        await publish(store, 3)
        epoch = (await store.head(CHANNEL)).epoch
        assert await store.history(CHANNEL, epoch, 4, 10) is None
        assert await store.history(CHANNEL, epoch, -1, 10) is None
        assert await store.history(CHANNEL, "another", 1, 10) is None
        assert await store.history("private-room.other", epoch, 1, 10) is None

    async def test_an_offset_that_does_not_follow_is_a_conflict(self, store: SqlStore) -> None:
        await publish(store, 2)
        for after in (-1, 0, 1, 3):
            with pytest.raises(Conflict):
                await store.commit(Commit(events=await envelopes(store, after=after)))
        first, second, third = await envelopes(store, 3)
        for hole in ([first, third], [second, first], [first, first]):
            with pytest.raises(Conflict):
                await store.commit(Commit(events=hole))
        await store.commit(Commit(events=[first, second, third]))
        assert offsets(await store.history(CHANNEL, first.epoch, 0, 10)) == [1, 2, 3, 4, 5]

    async def test_the_first_event_names_the_epoch_of_its_channel(self, store: SqlStore) -> None:
        first = Envelope(CHANNEL, "its own", 1, ROOM, "lobby", 0.0, event())
        await store.commit(Commit(events=[first]))
        assert await store.head(CHANNEL) == Head("its own", 1)
        assert await store.history(CHANNEL, "its own", 0, 10) == [first]
        databases = (await store.head("private-room.other")).epoch
        assert databases != "its own"
        assert await store.history(CHANNEL, databases, 0, 10) is None

    async def test_a_later_event_in_another_epoch_is_a_conflict(self, store: SqlStore) -> None:
        (first,) = await publish(store)
        for epoch in ("another", ""):
            with pytest.raises(Conflict):
                await store.commit(Commit(events=[replace(first, epoch=epoch, offset=2)]))
        assert await store.head(CHANNEL) == Head(first.epoch, 1)

    async def test_channels_are_numbered_apart_even_in_one_commit(self, store: SqlStore) -> None:
        await publish(store, 2, "a")
        mixed = [*await envelopes(store, 2, "a"), *await envelopes(store, 2, "b")]
        await store.commit(Commit(events=[mixed[0], mixed[2], mixed[3], mixed[1]]))
        assert (await store.head("a")).offset == 4
        assert (await store.head("b")).offset == 2

    async def test_two_publishers_of_one_offset_make_one_event(self, store: SqlStore) -> None:
        same = await envelopes(store)
        results = await asyncio.gather(
            *(store.commit(Commit(events=list(same))) for _ in range(5)), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 4 + ["NoneType"]
        assert (await store.head(CHANNEL)).offset == 1

    async def test_an_event_that_is_no_json_is_refused_before_anything_is_written(self, store: SqlStore) -> None:
        head = await store.head(CHANNEL)
        for value in (object(), "\ud800"):
            bad = Envelope(CHANNEL, head.epoch, 1, ROOM, "lobby", 0.0, MetadataChanged({"a": value}, 1, "bob"))
            with pytest.raises(InvalidInput, match="metadata_changed"):
                await store.commit(Commit(states=[(state(), 0)], events=[bad]))
        assert await store.load(ROOM, "lobby") is None


class TestAnswers:
    async def test_an_answer_belongs_to_its_actor_and_key(self, store: SqlStore) -> None:
        await store.commit(Commit(answers=[answer(), answer(actor="bob", payload=b"2")]))
        assert await store.answer("alice", "k1") == answer()
        assert await store.answer("bob", "k1") == answer(actor="bob", payload=b"2")
        assert await store.answer("alice", "k2") is None

    async def test_a_second_answer_under_one_key_is_a_conflict_and_its_commit_is_not_applied(
        self, store: SqlStore
    ) -> None:
        await store.commit(Commit(answers=[answer()]))
        with pytest.raises(Conflict):
            await store.commit(Commit(states=[(state(), 0)], answers=[answer(payload=b"again")]))
        assert await store.load(ROOM, "lobby") is None
        assert await store.answer("alice", "k1") == answer()


class TestTransactions:
    async def test_a_commit_holds_altogether_or_not_at_all(self, store: SqlStore) -> None:
        await put(store, state("other", 2))
        before = await store.head(CHANNEL)
        with pytest.raises(Conflict):
            await store.commit(
                Commit(
                    states=[(state(), 0), (state("other", 5), 1)],
                    events=await envelopes(store, 3),
                    answers=[answer()],
                )
            )
        assert await store.load(ROOM, "lobby") is None
        assert await store.head(CHANNEL) == before
        assert await store.answer("alice", "k1") is None
        await put(store, state())

    async def test_an_empty_commit_is_fine(self, store: SqlStore) -> None:
        await store.commit(Commit())

    async def test_a_value_the_database_cannot_hold_is_a_typed_error(self, store: SqlStore) -> None:
        with pytest.raises(StoreFailed):
            await put(store, state(version=2**63))
        with pytest.raises(StoreFailed):
            await store.load(ROOM, "\ud800")
        await put(store, state())


class TestPruning:
    async def test_the_newest_are_kept_however_old(self, store: SqlStore) -> None:
        await publish(store, 10, at=1.0)
        assert await store.prune(before=100.0, keep=4) == 6
        epoch = (await store.head(CHANNEL)).epoch
        assert offsets(await store.history(CHANNEL, epoch, 6, 10)) == [7, 8, 9, 10]
        assert await store.history(CHANNEL, epoch, 5, 10) is None
        assert (await store.head(CHANNEL)).offset == 10
        assert await store.prune(before=100.0, keep=4) == 0

    async def test_the_young_are_kept_however_many(self, store: SqlStore) -> None:
        await publish(store, 5, at=10.0)
        await publish(store, 20, at=50.0)
        assert await store.prune(before=50.0, keep=3) == 5
        epoch = (await store.head(CHANNEL)).epoch
        assert len(await store.history(CHANNEL, epoch, 5, 100) or ()) == 20

    async def test_a_clock_that_stepped_back_leaves_no_hole(self, store: SqlStore) -> None:
        for at in (10.0, 60.0, 20.0, 30.0, 40.0):
            await publish(store, at=at)
        assert await store.prune(before=50.0, keep=1) == 1
        epoch = (await store.head(CHANNEL)).epoch
        assert offsets(await store.history(CHANNEL, epoch, 1, 10)) == [2, 3, 4, 5]

    async def test_a_channel_goes_on_after_all_its_events_are_gone(self, store: SqlStore) -> None:
        await publish(store, 3, at=1.0)
        assert await store.prune(before=2.0, keep=0) == 3
        epoch = (await store.head(CHANNEL)).epoch
        assert await store.history(CHANNEL, epoch, 3, 10) == []
        assert await store.history(CHANNEL, epoch, 2, 10) is None
        assert offsets(await publish(store)) == [4]

    async def test_many_channels_and_events_are_pruned_in_small_steps(
        self, store: SqlStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("utd_core.store.queries.CHANNELS_AT_ONCE", 3)
        monkeypatch.setattr("utd_core.store.queries.EVENTS_AT_ONCE", 7)
        for n in range(8):
            await publish(store, 5 + 4 * n, f"channel-{n}", at=1.0)
        await store.commit(Commit(answers=[answer(str(n), at=float(n % 3)) for n in range(40)]))
        events = sum(4 * n for n in range(8))
        assert await store.prune(before=2.0, keep=5) == events + 27
        epoch = (await store.head("channel-0")).epoch
        for n in range(8):
            assert len(await store.history(f"channel-{n}", epoch, 4 * n, 100) or ()) == 5

    async def test_answers_may_be_kept_longer_than_events(self, store: SqlStore) -> None:
        await publish(store, 2, at=10.0)
        await store.commit(Commit(answers=[answer("old", at=1.0), answer("new", at=10.0)]))
        assert await store.prune(before=20.0, keep=0, answers_before=5.0) == 3
        assert await store.answer("alice", "old") is None
        assert await store.answer("alice", "new") is not None


class TestDiscarding:
    async def test_what_ended_comes_in_the_order_of_its_end_and_nothing_else_does(self, store: SqlStore) -> None:
        await put(
            store,
            state("late", 3, ended_at=30.0),
            state("early", 2, ended_at=10.0, kind="call"),
            state("on", deadline=1.0),
        )
        assert await store.ended(10.0) == []
        assert await store.ended(99.0) == [("call", "early", 2), (ROOM, "late", 3)]
        assert await store.ended(99.0, limit=1) == [("call", "early", 2)]

    async def test_state_and_channel_are_deleted_together_and_others_stay(self, store: SqlStore) -> None:
        await publish(store, 3)
        others = await publish(store, 2, "private-room.other")
        await put(store, state(version=4, ended_at=1.0), state("other", ended_at=1.0))
        epoch = (await store.head(CHANNEL)).epoch
        assert await store.discard([Remains(ROOM, "lobby", 4, CHANNEL)]) == [True]
        assert await store.load(ROOM, "lobby") is None
        assert (await store.head(CHANNEL)).offset == 0
        for after in (1, 2, 3):
            assert await store.history(CHANNEL, epoch, after, 10) is None
        assert await store.load(ROOM, "other") is not None
        assert await store.history("private-room.other", others[0].epoch, 0, 10) == others

    async def test_one_that_goes_on_or_began_anew_is_left_alone(self, store: SqlStore) -> None:
        written = await publish(store, 2)
        await put(store, state(version=2, ended_at=1.0), state("on", 2))
        remains = [
            Remains(ROOM, "lobby", 1, CHANNEL),
            Remains(ROOM, "on", 2, CHANNEL),
            Remains(ROOM, "gone", 2, CHANNEL),
        ]
        assert await store.discard(remains) == [False] * 3
        assert await store.load(ROOM, "lobby") is not None
        assert await store.history(CHANNEL, written[0].epoch, 0, 10) == written

    async def test_a_channel_that_begins_anew_is_not_mistaken_for_the_old_one(self, store: SqlStore) -> None:
        old = await publish(store, 3)
        await put(store, state(ended_at=1.0))
        await store.discard([Remains(ROOM, "lobby", 1, CHANNEL)])
        new = [replace(envelope, epoch="new", event=event("new")) for envelope in old]
        await store.commit(Commit(states=[(state(), 0)], events=new))
        for after in range(4):
            assert await store.history(CHANNEL, old[0].epoch, after, 10) is None
        assert await store.history(CHANNEL, "new", 0, 10) == new

    async def test_a_commit_on_what_was_discarded_is_a_conflict(self, store: SqlStore) -> None:
        await publish(store, 2)
        await put(store, state(version=2, ended_at=1.0))
        following = await envelopes(store)
        await store.discard([Remains(ROOM, "lobby", 2, CHANNEL)])
        for late in (Commit(states=[(state(version=3), 2)]), Commit(events=following)):
            with pytest.raises(Conflict):
                await store.commit(late)
        assert await store.load(ROOM, "lobby") is None


class TestLife:
    async def test_opening_and_closing_twice_is_fine(self, store: SqlStore) -> None:
        await store.open()
        await put(store, state())
        await asyncio.gather(store.aclose(), store.aclose())
        await store.aclose()

    async def test_a_closed_store_says_so(self, store: SqlStore) -> None:
        await store.aclose()
        with pytest.raises(Closed):
            await store.load(ROOM, "lobby")
        with pytest.raises(Closed):
            await put(store, state())
        with pytest.raises(Closed):
            await store.open()

    async def test_results_come_in_the_order_of_the_commits(self, store: SqlStore) -> None:
        done: list[int] = []

        async def write(n: int) -> None:
            await put(store, state(str(n)))
            done.append(n)

        await asyncio.gather(*(write(n) for n in range(100)))
        assert done == list(range(100))
