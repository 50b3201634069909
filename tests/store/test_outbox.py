"""What `Outbox` promises, on every kind of store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from utd_core.errors import Conflict
from utd_core.store import Commit
from utd_core.store.outbox import OutboxFigures, Outgoing, Parcel
from utd_core.store.sql_store import SqlStore

from .conftest import store_of_kind
from .rows import put, state

HOOK = "hook"
HELD = 100.0
"""Seconds that a claim lasts."""


def outgoing(id: str, key: str = "lobby", *, at: float = 1.0, endpoint: str = HOOK) -> Outgoing:
    return Outgoing(endpoint, "room", key, id, "seat_taken", at, b'{"id":"%s"}' % id.encode())


async def put_out(store: SqlStore, *parcels: Outgoing) -> None:
    await store.commit(Commit(outbox=list(parcels)))


async def claim(store: SqlStore, now: float = 10.0, limit: int = 10) -> list[Parcel]:
    return await store.outbox.claim(HOOK, now, now + HELD, limit)


async def take(store: SqlStore, now: float = 10.0) -> Parcel:
    (parcel,) = await claim(store, now)
    return parcel


def ids(parcels: Sequence[Parcel]) -> list[str]:
    return [parcel.outgoing.id for parcel in parcels]


async def test_nothing_is_there_at_first(store: SqlStore) -> None:
    assert await claim(store) == []
    assert await store.outbox.next_due(HOOK) is None
    assert await store.outbox.dead() == []
    assert await store.outbox.figures() == {}


async def test_what_was_committed_is_handed_out_as_it_was(store: SqlStore) -> None:
    written = outgoing("a", "café")
    await put_out(store, written)
    parcel = await take(store)
    assert (parcel.outgoing, parcel.tries, parcel.first_at, parcel.held_until) == (written, 0, 10.0, 110.0)


async def test_what_belongs_to_a_commit_that_failed_is_not_there(store: SqlStore) -> None:
    await put(store, state())
    with pytest.raises(Conflict):
        await store.commit(Commit(states=[(state(), 0)], outbox=[outgoing("a")]))
    assert await claim(store) == []


class TestALane:
    async def test_goes_one_by_one_in_the_order_of_the_commits(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"), outgoing("b"))
        await put_out(store, outgoing("c"))
        parcel: Parcel | None = await take(store)
        gone = []
        while parcel is not None:
            assert await claim(store) == []
            gone.append(parcel.outgoing.id)
            parcel = await store.outbox.delivered(parcel, 10.0, 110.0)
        assert gone == ["a", "b", "c"]
        assert await store.outbox.figures() == {}

    async def test_does_not_wait_for_another(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"), outgoing("b", "attic"), outgoing("c", endpoint="other"))
        assert sorted(ids(await claim(store))) == ["a", "b"]

    async def test_of_a_call_is_not_that_of_a_room_of_its_name(self, store: SqlStore) -> None:
        call = Outgoing(HOOK, "call", "lobby", "b", "call_ended", 1.0, b"{}")
        await put_out(store, outgoing("a"), call)
        assert sorted(ids(await claim(store))) == ["a", "b"]

    async def test_that_was_tried_in_vain_waits_with_all_behind_it(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"), outgoing("b"))
        await store.outbox.postpone(await take(store), 20.0)
        assert await claim(store, 19.0) == []
        assert await store.outbox.next_due(HOOK) == 20.0
        parcel = await take(store, 20.0)
        assert (parcel.outgoing.id, parcel.tries, parcel.first_at) == ("a", 1, 10.0)
        behind = await store.outbox.delivered(parcel, 21.0, 121.0)
        assert behind is not None
        assert (behind.outgoing.id, behind.tries, behind.first_at) == ("b", 0, 21.0)

    async def test_of_somebody_who_is_gone_is_anybodys_after_a_while(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"))
        lost = await take(store)
        assert await claim(store, 109.0) == []
        again = await take(store, 110.0)
        assert (again.number, again.first_at) == (lost.number, 10.0)
        # The first one comes back after all: it can do no harm.
        await store.outbox.postpone(lost, 0.0)
        await store.outbox.hand_back(lost, 0.0)
        assert await claim(store, 111.0) == []
        assert await store.outbox.delivered(again, 111.0, 211.0) is None
        assert await store.outbox.delivered(lost, 111.0, 211.0) is None
        assert await store.outbox.figures() == {}

    async def test_that_two_had_is_in_the_hands_of_the_later_one(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"), outgoing("b"))
        lost, again = await take(store), await take(store, 110.0)
        assert await store.outbox.delivered(lost, 111.0, 211.0) is None
        assert await claim(store, 112.0) == []
        assert await store.outbox.delivered(again, 112.0, 212.0) is None
        assert (await take(store, 210.0)).outgoing.id == "b"

    async def test_that_is_handed_back_is_due_at_once(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"))
        await store.outbox.hand_back(await take(store), 11.0)
        assert (await take(store, 11.0)).tries == 0

    async def test_that_ended_begins_anew(self, store: SqlStore) -> None:
        for id in ("a", "b"):
            await put_out(store, outgoing(id))
            parcel = await take(store)
            assert parcel.outgoing.id == id
            assert await store.outbox.delivered(parcel, 10.0, 110.0) is None

    async def test_the_longest_due_come_first(self, store: SqlStore) -> None:
        await put_out(store, *(outgoing(name, name, at=at) for name, at in (("a", 3.0), ("b", 1.0), ("c", 2.0))))
        assert sorted(ids(await claim(store, limit=2))) == ["b", "c"]


class TestTheDead:
    async def test_are_kept_with_the_reason_and_the_lane_goes_on(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"), outgoing("b"))
        parcel = await take(store)
        behind = await store.outbox.bury(parcel, "it answered 500", 12.0, 112.0)
        assert behind is not None
        assert behind.outgoing.id == "b"
        (dead,) = await store.outbox.dead()
        assert (dead.outgoing, dead.tries, dead.died_at, dead.reason) == (outgoing("a"), 1, 12.0, "it answered 500")
        assert await store.outbox.figures() == {HOOK: OutboxFigures(1, 1.0, 1)}

    async def test_are_listed_by_page_and_endpoint(self, store: SqlStore) -> None:
        await put_out(store, *(outgoing(str(n), str(n)) for n in range(3)), outgoing("x", endpoint="other"))
        for parcel in [*await claim(store), *await store.outbox.claim("other", 10.0, 110.0, 1)]:
            await store.outbox.bury(parcel, "no", 12.0, 112.0)
        everything = await store.outbox.dead()
        assert len(everything) == 4
        assert await store.outbox.dead(limit=2) == everything[:2]
        assert await store.outbox.dead(after=everything[1].number) == everything[2:]
        assert [dead.outgoing.endpoint for dead in await store.outbox.dead("other")] == ["other"]

    async def test_can_be_tried_again_as_if_they_had_just_happened(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"))
        await store.outbox.bury(await take(store), "no", 12.0, 112.0)
        (dead,) = await store.outbox.dead()
        assert await store.outbox.revive(dead.number, 500.0)
        assert not await store.outbox.revive(dead.number, 500.0)
        parcel = await take(store, 500.0)
        assert (parcel.outgoing.id, parcel.outgoing.at, parcel.tries) == ("a", 500.0, 0)
        assert await store.outbox.dead() == []

    async def test_numbers_never_come_again(self, store: SqlStore) -> None:
        for _ in range(3):
            await put_out(store, outgoing("a"))
            await store.outbox.bury(await take(store), "no", 12.0, 112.0)
        assert len({dead.number for dead in await store.outbox.dead()}) == 3

    async def test_are_forgotten_after_a_time(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"), outgoing("b", "attic"))
        for died_at, parcel in enumerate(await claim(store)):
            await store.outbox.bury(parcel, "no", float(died_at), 112.0)
        assert await store.outbox.prune_dead(1.0) == 1
        assert len(await store.outbox.dead()) == 1


class TestBesideEachOther:
    async def test_of_many_who_claim_one_lane_one_has_it(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"), outgoing("b"))
        claims = await asyncio.gather(*(claim(store) for _ in range(8)))
        assert sorted(map(len, claims)) == [0] * 7 + [1]

    async def test_what_is_put_behind_one_that_is_being_taken_is_never_left_behind(self, store: SqlStore) -> None:
        await put_out(store, outgoing("0"))
        taken = []
        parcel: Parcel | None = await take(store)
        for n in range(1, 40):
            if parcel is None:
                parcel = await take(store)
            taken.append(parcel.outgoing.id)
            parcel, _ = await asyncio.gather(
                store.outbox.delivered(parcel, 10.0, 110.0), put_out(store, outgoing(str(n)))
            )
        assert taken == [str(n) for n in range(39)]
        assert (await store.outbox.figures())[HOOK].waiting == 1

    async def test_no_project_has_anothers(self, store: SqlStore) -> None:
        async with store.scoped("other") as other:
            await put_out(other, outgoing("a"))
            assert await claim(store) == []
            assert await store.outbox.figures() == {}
            assert len(await claim(other)) == 1


class TestDiscarding:
    async def test_deletes_everything_of_one_endpoint_and_nothing_of_others(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"), outgoing("b", "attic"), outgoing("c", endpoint="other"), outgoing("d"))
        await store.outbox.bury(await first_of(store, "attic"), "gone", 10.0, 110.0)
        assert await store.outbox.discard(HOOK) == 3
        assert await store.outbox.discard(HOOK) == 0
        assert await store.outbox.figures() == {"other": OutboxFigures(1, 1.0, 0)}
        assert await store.outbox.next_due(HOOK) is None

    async def test_leaves_a_lane_that_works_for_what_comes_afterwards(self, store: SqlStore) -> None:
        await put_out(store, outgoing("a"), outgoing("b"))
        under_way = await take(store)
        await store.outbox.discard(HOOK)
        await put_out(store, outgoing("c"))
        # Whoever had the first one in hand when it was deleted changes nothing any more.
        assert await store.outbox.delivered(under_way, 10.0, 110.0) is None
        assert ids(await claim(store)) == ["c"]

    async def test_a_commit_at_the_same_time_leaves_no_parcel_without_a_lane(self, store: SqlStore) -> None:
        for n in range(20):
            await asyncio.gather(put_out(store, outgoing(f"a{n}")), store.outbox.discard(HOOK))
        await put_out(store, outgoing("last"))
        parcel: Parcel | None = await take(store)
        while parcel is not None:
            parcel = await store.outbox.delivered(parcel, 10.0, 110.0)
        assert await store.outbox.figures() == {}


async def first_of(store: SqlStore, key: str) -> Parcel:
    (found,) = [parcel for parcel in await claim(store) if parcel.outgoing.key == key]
    return found


class Worker:
    """Takes what it gets, as a node's courier does. `taken`: ids by lane, in the order of all workers' deliveries."""

    def __init__(self, store: SqlStore, taken: dict[str, list[str]], held: set[str]) -> None:
        self.store = store
        self.taken = taken
        self.held = held

    async def run(self, until: Callable[[], bool]) -> None:
        while not until():
            claimed = await claim(self.store, limit=3)
            await asyncio.gather(*map(self.carry, claimed))
            if not claimed:
                await asyncio.sleep(0)

    async def carry(self, first: Parcel) -> None:
        parcel: Parcel | None = first
        while parcel is not None:
            key = parcel.outgoing.key
            assert key not in self.held, "two have one lane"
            self.held.add(key)
            await asyncio.sleep(0)
            self.taken.setdefault(key, []).append(parcel.outgoing.id)
            self.held.discard(key)
            parcel = await self.store.outbox.delivered(parcel, 10.0, 110.0)


@pytest.fixture(params=["file", "postgresql"])
async def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[SqlStore]]:
    """Three that share one database, each with connections of its own."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(store_of_kind(request, tmp_path)) for _ in range(3)]


async def test_of_several_nodes_each_event_is_had_by_one_and_each_lane_is_in_order(nodes: list[SqlStore]) -> None:
    lanes, each = [f"room {n}" for n in range(6)], 15
    taken: dict[str, list[str]] = {}

    async def put_all(store: SqlStore) -> None:
        for n in range(each):
            for key in lanes:
                await put_out(store, outgoing(f"{n}", key))

    def done() -> bool:
        return sum(map(len, taken.values())) == len(lanes) * each

    held: set[str] = set()
    workers = [Worker(store, taken, held) for store in nodes for _ in range(2)]
    async with asyncio.timeout(60):
        await asyncio.gather(put_all(nodes[0]), *(worker.run(done) for worker in workers))
    assert set(taken) == set(lanes)
    for key, ids_of_lane in taken.items():
        assert ids_of_lane == [str(n) for n in range(each)], key
    assert await nodes[1].outbox.figures() == {}
