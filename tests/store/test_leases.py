"""Who works for a project: one at a time, and nothing is written by whoever was before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.postgres import Database
from utd_core.errors import Closed, Conflict, Deposed
from utd_core.store import Commit, open_store
from utd_core.store.leases import Fence, Lease, Leases
from utd_core.store.sql_store import SqlStore

from .rows import ROOM, state

TTL = 60.0
"""Longer than any test takes."""

MakeStore = Callable[[], SqlStore]


async def expire(leases: Leases, lease: Lease) -> None:
    """Let the lease's time be over, as when nobody renewed it."""
    await leases.renew(lease.holder, 0.0)


class TestClaiming:
    async def test_what_nobody_has_is_the_claimers(self, leases: Leases, project: str, ann: str) -> None:
        assert await leases.holder_of(project) is None
        lease = await leases.claim(project, ann, TTL)
        assert (lease.project, lease.holder) == (project, ann)
        assert await leases.holder_of(project) == lease
        assert await leases.held_by(ann) == [lease]

    async def test_what_another_one_has_stays_that_ones_and_the_claimer_learns_whose_it_is(
        self, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        lease = await leases.claim(project, ann, TTL)
        assert await leases.claim(project, bob, TTL) == lease
        assert await leases.holder_of(project) == lease

    async def test_a_claim_of_ones_own_begins_a_new_term(self, leases: Leases, project: str, ann: str) -> None:
        first = await leases.claim(project, ann, TTL)
        second = await leases.claim(project, ann, TTL)
        assert second.holder == ann
        assert second.term > first.term

    async def test_one_whose_time_is_over_is_anybodys(self, leases: Leases, project: str, ann: str, bob: str) -> None:
        first = await leases.claim(project, ann, TTL)
        await expire(leases, first)
        assert await leases.holder_of(project) is None
        second = await leases.claim(project, bob, TTL)
        assert second.holder == bob
        assert second.term > first.term
        assert await leases.held_by(ann) == []

    async def test_one_that_was_given_back_is_anybodys_at_once(
        self, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        first = await leases.claim(project, ann, TTL)
        await leases.release([first])
        assert await leases.holder_of(project) is None
        assert await leases.held_by(ann) == []
        assert (await leases.claim(project, bob, TTL)).term > first.term

    async def test_giving_back_what_is_somebody_elses_by_now_changes_nothing(
        self, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        first = await leases.claim(project, ann, TTL)
        await expire(leases, first)
        second = await leases.claim(project, bob, TTL)
        await leases.release([first])
        assert await leases.holder_of(project) == second

    async def test_giving_back_an_earlier_term_of_ones_own_changes_nothing(
        self, leases: Leases, project: str, ann: str
    ) -> None:
        first = await leases.claim(project, ann, TTL)
        second = await leases.claim(project, ann, TTL)
        await leases.release([first])
        assert await leases.holder_of(project) == second

    async def test_of_many_who_claim_at_once_one_has_it_and_all_agree_who(self, leases: Leases, project: str) -> None:
        found = await asyncio.gather(*(leases.claim(project, f"{n} of {project}", TTL) for n in range(20)))
        assert len(set(found)) == 1
        assert await leases.holder_of(project) == found[0]


class TestComingLast:
    """Claims of those who leave it to others first."""

    async def test_what_was_given_back_is_left_to_others_for_a_while(
        self, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        first = await leases.claim(project, ann, TTL)
        await leases.release([first])
        assert await leases.claim_last(project, ann, TTL, courtesy=TTL) is None
        assert await leases.holder_of(project) is None
        assert (await leases.claim(project, bob, TTL)).holder == bob

    async def test_what_was_not_renewed_counts_as_its_holders_for_a_while(
        self, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        first = await leases.claim(project, ann, TTL)
        await expire(leases, first)
        assert await leases.claim_last(project, bob, TTL, courtesy=TTL) == first
        assert (await leases.claim(project, bob, TTL)).holder == bob

    async def test_what_was_free_for_long_enough_is_theirs(
        self, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        first = await leases.claim(project, ann, TTL)
        await leases.release([first])
        found: Lease | None = None
        async with asyncio.timeout(20):
            while found is None:
                found = await leases.claim_last(project, bob, TTL, courtesy=0.05)
        assert found.holder == bob
        assert await leases.claim_last(project, ann, TTL, courtesy=0.05) == found

    async def test_what_nobody_ever_had_and_what_is_ones_own_is_theirs_at_once(
        self, leases: Leases, project: str, ann: str
    ) -> None:
        first = await leases.claim_last(project, ann, TTL, courtesy=TTL)
        assert first is not None
        again = await leases.claim_last(project, ann, TTL, courtesy=TTL)
        assert again is not None
        assert (again.holder, again.term) == (ann, first.term + 1)


class TestWanting:
    async def test_the_holder_sees_what_is_wanted_of_it_and_nothing_else(
        self, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        mine = [await leases.claim(f"{project}-{n}", ann, TTL) for n in range(3)]
        other = await leases.claim(f"{project}-other", bob, TTL)
        assert await leases.wanted_of(ann) == []
        for lease in (mine[2], mine[0], mine[0], other):
            await leases.want(lease, TTL)
        assert await leases.wanted_of(ann) == [mine[0], mine[2]]
        assert await leases.wanted_of(bob) == [other]

    async def test_a_wish_ends_with_its_time_and_may_be_said_again(
        self, leases: Leases, project: str, ann: str
    ) -> None:
        lease = await leases.claim(project, ann, TTL)
        await leases.want(lease, 0.0)
        assert await leases.wanted_of(ann) == []
        await leases.want(lease, TTL)
        assert await leases.wanted_of(ann) == [lease]

    async def test_a_wish_ends_with_the_term_that_was_meant(
        self, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        lease = await leases.claim(project, ann, TTL)
        await leases.want(lease, TTL)
        await leases.release([lease])
        assert await leases.wanted_of(ann) == []
        await leases.claim(project, bob, TTL)
        assert await leases.wanted_of(bob) == []
        await leases.want(lease, TTL)
        assert await leases.wanted_of(bob) == [], "said too late"


class TestRenewing:
    async def test_it_keeps_everything_of_the_holder_and_nothing_else(
        self, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        mine = [await leases.claim(f"{project}-{n}", ann, 0.0) for n in range(3)]
        other = await leases.claim(f"{project}-other", bob, 0.0)
        assert await leases.renew(ann, TTL) == mine
        for lease in mine:
            assert await leases.holder_of(lease.project) == lease
        assert await leases.holder_of(other.project) is None

    async def test_one_whose_time_is_over_is_kept_as_long_as_nobody_else_claimed_it(
        self, leases: Leases, project: str, ann: str
    ) -> None:
        lease = await leases.claim(project, ann, 0.0)
        assert await leases.renew(ann, TTL) == [lease]
        assert await leases.holder_of(project) == lease

    async def test_neither_what_was_given_back_nor_what_another_one_took_comes_back(
        self, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        given = await leases.claim(f"{project}-given", ann, TTL)
        taken = await leases.claim(f"{project}-taken", ann, 0.0)
        await leases.release([given])
        await leases.claim(taken.project, bob, TTL)
        assert await leases.renew(ann, TTL) == []


class TestSeveralProcesses:
    """Stores of their own on one database, as processes have them."""

    @pytest.fixture(params=["file", "postgresql"])
    async def make(self, request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
        if request.param == "file":
            return lambda: open_store(tmp_path / "shared.db")
        database: Database = request.getfixturevalue("postgres")
        project = database.store().project
        return lambda: database.store(project)

    @pytest.fixture
    async def stores(self, make: MakeStore) -> AsyncIterator[list[SqlStore]]:
        stores = [make() for _ in range(8)]
        for store in stores:
            await store.open()
        yield stores
        for store in stores:
            await store.aclose()

    async def test_eight_claim_fifty_projects_at_once_and_each_has_one_holder_that_all_agree_on(
        self, stores: list[SqlStore]
    ) -> None:
        async def claim(n: int, store: SqlStore) -> list[Lease]:
            order = projects[n * 6 :] + projects[: n * 6]
            return list(
                await asyncio.gather(
                    *(store.leases().claim(project, f"{n} of {stores[0].project}", TTL) for project in order)
                )
            )

        projects = [f"{stores[0].project}-{number}" for number in range(50)]
        async with asyncio.timeout(20):
            found = await asyncio.gather(*(claim(n, store) for n, store in enumerate(stores)))
        by_project: dict[str, set[Lease]] = {project: set() for project in projects}
        for leases in found:
            for lease in leases:
                by_project[lease.project].add(lease)
        assert {len(leases) for leases in by_project.values()} == {1}
        held = [await stores[0].leases().held_by(f"{n} of {stores[0].project}") for n in range(8)]
        assert sum(len(leases) for leases in held) == 50

    async def test_while_they_take_over_from_each_other_no_version_is_written_in_a_term_that_is_over(
        self, stores: list[SqlStore]
    ) -> None:
        """Each claims, writes a number that only it knows, and loses the lease at some moment in between."""
        project = stores[0].project
        written: list[tuple[int, int]] = []
        refused = 0

        async def work(n: int, store: SqlStore) -> None:
            nonlocal refused
            for _ in range(6):
                lease = await store.leases().claim(project, f"{n} of {stores[0].project}", 0.0)
                async with store.scoped(project, fence=Fence(lease)) as held:
                    for _ in range(3):
                        present = await held.load(ROOM, "lobby")
                        version = 0 if present is None else present.version
                        row = state(version=version + 1, payload=str(lease.term).encode())
                        try:
                            await held.commit(Commit(states=[(row, version)]))
                        except Deposed:
                            refused += 1
                            break
                        except Conflict:
                            continue
                        written.append((version + 1, lease.term))

        async with asyncio.timeout(60):
            await asyncio.gather(*(work(n, store) for n, store in enumerate(stores[:4])))
        assert refused, "they did meet"
        written.sort()
        assert [version for version, _ in written] == list(range(1, len(written) + 1))
        terms = [term for _, term in written]
        assert terms == sorted(terms), "an earlier term wrote after a later one"

    async def test_a_closed_store_refuses(self, stores: list[SqlStore]) -> None:
        await stores[0].aclose()
        with pytest.raises(Closed):
            await stores[0].leases().claim("shop", "a", TTL)
