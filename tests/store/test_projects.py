"""Several projects in one database: none sees anything of another, and a server knows them all."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from utd_core.errors import Closed, Conflict
from utd_core.model.identifiers import DEFAULT_PROJECT
from utd_core.store import Commit, Remains, open_store
from utd_core.store.projects import StoredProject
from utd_core.store.sql_store import SqlStore

from .rows import CHANNEL, ROOM, answer, envelopes, offsets, publish, put, state


@pytest.fixture
async def others(store: SqlStore) -> AsyncIterator[SqlStore]:
    """Another project in the same database, which has something of everything, under the same names."""
    view = store.scoped(f"other-{secrets.token_hex(4)}")
    await view.open()
    await put(view, state(version=7, deadline=1.0), state("over", ended_at=1.0), state("c", kind="call"))
    await publish(view, 5, at=1.0)
    await view.commit(Commit(answers=[answer(payload=b"theirs", at=1.0)]))
    yield view
    assert await view.load(ROOM, "lobby") == state(version=7, deadline=1.0)
    assert await view.load(ROOM, "over") == state("over", ended_at=1.0)
    assert offsets(await view.history(CHANNEL, (await view.head(CHANNEL)).epoch, 0, 9)) == [1, 2, 3, 4, 5]
    assert await view.answer("alice", "k1") == answer(payload=b"theirs", at=1.0)


@pytest.mark.usefixtures("others")
class TestNothingIsShared:
    """`others` checks afterwards that it still has everything."""

    async def test_states(self, store: SqlStore) -> None:
        assert await store.load(ROOM, "lobby") is None
        assert await store.states(ROOM, ended=None) == []
        assert await store.next_deadline() is None
        assert await store.due(99.0) == []
        assert await store.ended(99.0) == []
        await put(store, state(payload=b"ours"))
        await store.commit(Commit(states=[(state(version=2), 1)]))
        assert await store.states(ROOM) == [state(version=2)]

    async def test_channels(self, store: SqlStore) -> None:
        assert (await store.head(CHANNEL)).offset == 0
        written = await publish(store, 2)
        assert await store.history(CHANNEL, written[0].epoch, 0, 9) == written

    async def test_a_place_in_one_project_is_none_in_another(self, store: SqlStore, others: SqlStore) -> None:
        for name in (CHANNEL, "private-user.nobody"):
            theirs = await others.head(name)
            assert theirs.epoch != (await store.head(name)).epoch
            assert await store.history(name, theirs.epoch, theirs.offset, 9) is None

    async def test_answers(self, store: SqlStore) -> None:
        assert await store.answer("alice", "k1") is None
        await store.commit(Commit(answers=[answer()]))
        assert await store.answer("alice", "k1") == answer()

    async def test_pruning_and_discarding(self, store: SqlStore) -> None:
        assert await store.prune(99.0, 0) == 0
        assert await store.discard([Remains(ROOM, "over", 1, CHANNEL)]) == [False]
        await publish(store, 3, at=1.0)
        await put(store, state("over", ended_at=1.0))
        assert await store.prune(99.0, 1) == 2
        assert await store.discard([Remains(ROOM, "over", 1, CHANNEL)]) == [True]

    async def test_commits_at_the_same_time_belong_to_their_projects(self, store: SqlStore) -> None:
        views = [store.scoped(f"view-{secrets.token_hex(4)}") for _ in range(8)]
        await asyncio.gather(*(view.open() for view in views))

        async def write(view: SqlStore) -> None:
            for version in range(1, 8):
                events = await envelopes(view)
                row = state(version=version, payload=view.project.encode())
                await view.commit(Commit(states=[(row, version - 1)], events=events))

        await asyncio.gather(*(write(view) for view in views))
        for view in views:
            assert await view.load(ROOM, "lobby") == state(version=7, payload=view.project.encode())
            assert (await view.head(CHANNEL)).offset == 7


class TestViews:
    async def test_a_view_is_opened_before_its_use(self, store: SqlStore) -> None:
        view = store.scoped("later")
        with pytest.raises(Closed, match="not open"):
            await view.load(ROOM, "lobby")
        await view.open()
        assert await view.load(ROOM, "lobby") is None

    async def test_closing_a_view_closes_nothing_else(self, store: SqlStore) -> None:
        view = store.scoped("short")
        await view.open()
        await view.aclose()
        with pytest.raises(Closed):
            await view.load(ROOM, "lobby")
        with pytest.raises(Closed):
            await view.open()
        await put(store, state())

    async def test_a_view_ends_with_the_store(self, store: SqlStore) -> None:
        view = store.scoped("orphan")
        await view.open()
        await store.aclose()
        with pytest.raises(Closed):
            await view.load(ROOM, "lobby")
        with pytest.raises(Closed):
            await put(view, state())

    async def test_two_views_of_a_new_project_that_are_opened_at_one_instant_agree_on_its_epoch(
        self, store: SqlStore
    ) -> None:
        for _ in range(10):
            name = f"new-{secrets.token_hex(4)}"
            views = [store.scoped(name) for _ in range(4)]
            await asyncio.gather(*(view.open() for view in views))
            assert len({(await view.head(CHANNEL)).epoch for view in views}) == 1

    async def test_a_store_is_opened_for_a_project(self, tmp_path: Path) -> None:
        path = tmp_path / "store.db"
        async with open_store(path, project="mine") as store:
            await put(store, state())
        async with open_store(path) as store:
            assert store.project == DEFAULT_PROJECT
            assert await store.load(ROOM, "lobby") is None
        async with open_store(path, project="mine") as store:
            assert await store.load(ROOM, "lobby") == state()


def stored(app_id: str | None = None, **fields: object) -> StoredProject:
    name = app_id or f"app-{secrets.token_hex(4)}"
    project = StoredProject(name, f"key-{name}", b"\0sealed", "Ünï", "{}", '{"a": 1}', False, 1)
    return replace(project, **fields)  # type: ignore[arg-type]  # as given


class TestKnown:
    async def test_what_was_created_is_known(self, store: SqlStore) -> None:
        project = stored()
        assert await store.projects.load(project.app_id) is None
        await store.projects.create(project)
        assert await store.projects.load(project.app_id) == project
        assert project in await store.projects.all()
        assert (await store.projects.versions())[project.app_id] == (1, project.key)

    async def test_app_id_and_key_are_there_once(self, store: SqlStore) -> None:
        project = stored()
        await store.projects.create(project)
        with pytest.raises(Conflict, match="already; choose another"):
            await store.projects.create(replace(project, key="another"))
        with pytest.raises(Conflict):
            await store.projects.create(stored(key=project.key))

    async def test_a_change_raises_the_version(self, store: SqlStore) -> None:
        project = stored()
        await store.projects.create(project)
        changed = await store.projects.change(project.app_id, lambda present: replace(present, suspended=True))
        assert changed == replace(project, suspended=True, version=2)
        assert await store.projects.load(project.app_id) == changed
        assert await store.projects.change("nobody", lambda present: present) is None

    async def test_whatever_is_done_to_a_project_is_counted_and_nothing_else(self, store: SqlStore) -> None:
        project = stored()
        before = await store.projects.changes()
        await store.projects.create(project)
        with pytest.raises(Conflict):
            await store.projects.create(project)
        assert await store.projects.changes() == before + 1
        await store.projects.change(project.app_id, lambda present: replace(present, suspended=True))
        await store.projects.change("nobody", lambda present: present)
        assert await store.projects.changes() == before + 2
        assert await store.projects.delete(project.app_id)
        assert not await store.projects.delete(project.app_id)
        assert await store.projects.changes() == before + 3

    async def test_changes_at_the_same_time_are_all_made(self, store: SqlStore) -> None:
        project = stored(name="")
        await store.projects.create(project)
        await asyncio.gather(
            *(
                store.projects.change(project.app_id, lambda present, n=n: replace(present, name=f"{present.name}{n}"))  # type: ignore[misc]  # a default binds it
                for n in range(10)
            )
        )
        present = await store.projects.load(project.app_id)
        assert present is not None
        assert present.version == 11
        assert sorted(present.name) == list("0123456789")

    async def test_deleting_and_purging_leaves_nothing_of_it(self, store: SqlStore, others: SqlStore) -> None:
        project = stored()
        await store.projects.create(project)
        view = store.scoped(project.app_id)
        await view.open()
        for number in range(6):
            await put(view, state(str(number), deadline=1.0))
            await publish(view, 3, f"channel-{number}")
            await view.commit(Commit(answers=[answer(str(number))]))
        before = await view.head("channel-0")
        assert await store.projects.delete(project.app_id)
        assert not await store.projects.delete(project.app_id)
        with pytest.raises(Conflict, match="earlier project"):
            await store.projects.create(project)
        assert await store.projects.purge(project.app_id) == 6 + 6 + 18 + 6 + 1
        assert await store.projects.purge(project.app_id) == 0
        await store.projects.create(project)
        again = store.scoped(project.app_id)
        await again.open()
        assert await again.states(ROOM, ended=None) == []
        assert (await again.head("channel-0")).epoch != before.epoch, "an old place is none in the new project"

    async def test_what_an_earlier_one_left_can_be_taken_over(self, store: SqlStore) -> None:
        project = stored(app_id=f"embedded-{secrets.token_hex(4)}")
        view = store.scoped(project.app_id)
        await view.open()
        await put(view, state())
        await store.projects.create(project, adopt=True)
        assert await view.load(ROOM, "lobby") == state()

    async def test_a_deadline_tells_which_project_has_something_to_do(self, store: SqlStore) -> None:
        views = [store.scoped(f"due-{number}-{secrets.token_hex(4)}") for number in range(3)]
        for number, view in enumerate(views):
            await view.open()
            await put(view, state(deadline=-1e6 + number), state("other", deadline=-1e6 + number))
        due = await store.projects.due(-1e6 + 1)
        assert sorted(due) == sorted(view.project for view in views[:2])
        for view in views:
            await store.projects.purge(view.project)
