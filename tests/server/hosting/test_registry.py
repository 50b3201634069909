"""Projects in a database: made, rotated, suspended, ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from utd_core.errors import Conflict, InvalidInput, Unavailable
from utd_core.server.hosting.registry import Registry, known, project_of
from utd_core.server.hosting.vault import Vault, new_key
from utd_core.server.projects import ProjectFlags, ProjectLimits
from utd_core.store import open_store
from utd_core.store.sql_store import SqlStore


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    async with open_store() as store:
        yield store


@pytest.fixture
def registry(store: SqlStore) -> Registry:
    return Registry(store.projects)


@pytest.fixture
def vault() -> Vault:
    return Vault(new_key())


async def test_a_new_project_has_credentials_of_its_own(registry: Registry, vault: Vault) -> None:
    one, other = [await registry.create(vault, name=name) for name in ("Shop", "Club")]
    for field in ("app_id", "key", "secret"):
        assert len({getattr(one, field), getattr(other, field)}) == 2
    assert len(one.secret) >= 32
    assert [each.name for each in sorted(await registry.list(), key=lambda each: each.name)] == ["Club", "Shop"]


async def test_everything_said_about_it_is_kept(registry: Registry, vault: Vault, store: SqlStore) -> None:
    flags = ProjectFlags(allow_app_key_identity_mint=True, signaling_enabled=False)
    limits = ProjectLimits(max_connections=7, commands_per_second=2.5)
    project = await registry.create(vault, app_id="shop", name="Läden", flags=flags, limits=limits)
    row = await store.projects.load("shop")
    assert row is not None
    assert project_of(row, vault.unseal(row.app_id, row.secrets)) == project
    assert (project.flags, project.limits, project.name) == (flags, limits, "Läden")
    assert project.secret.encode() not in row.secrets
    assert "secret" not in repr(known(row)).lower()


async def test_flags_that_a_newer_version_wrote_mean_nothing(registry: Registry, vault: Vault, store: SqlStore) -> None:
    from dataclasses import replace

    await registry.create(vault, app_id="shop")
    await store.projects.change("shop", lambda row: replace(row, flags='{"teleport": true, "signaling_enabled": true}'))
    assert (await registry.list())[0].flags == ProjectFlags(signaling_enabled=True)


@pytest.mark.parametrize("app_id", ["", "a/b", "$shop", "x" * 64])
async def test_an_app_id_that_is_none_is_refused(registry: Registry, vault: Vault, app_id: str) -> None:
    with pytest.raises(InvalidInput, match="app id"):
        await registry.create(vault, app_id=app_id)


async def test_an_app_id_is_there_once(registry: Registry, vault: Vault) -> None:
    await registry.create(vault, app_id="shop")
    with pytest.raises(Conflict, match="choose another"):
        await registry.create(vault, app_id="shop")


async def test_a_rotation_keeps_the_last_secret_until_it_is_finished(registry: Registry, vault: Vault) -> None:
    first = await registry.create(vault, app_id="shop")
    second = await registry.rotate(vault, "shop")
    third = await registry.rotate(vault, "shop")
    assert second is not None
    assert third is not None
    assert second.secrets == (second.secret, first.secret)
    assert third.secrets == (third.secret, second.secret), "at most one old one"
    assert first.key == third.key
    await registry.finish_rotation(vault, "shop")
    fourth = await registry.rotate(vault, "shop", at_once=True)
    assert fourth is not None
    assert fourth.secrets == (fourth.secret,)


async def test_what_is_not_there_is_answered_with_nothing(registry: Registry, vault: Vault) -> None:
    assert await registry.rotate(vault, "nobody") is None
    assert await registry.finish_rotation(vault, "nobody") is None
    assert await registry.suspend("nobody") is None
    assert not await registry.delete("nobody")
    assert await registry.purge("nobody") == 0


async def test_suspending_needs_no_key_and_can_be_taken_back(registry: Registry, vault: Vault) -> None:
    await registry.create(vault, app_id="shop")
    for suspended in (True, False):
        changed = await registry.suspend("shop", suspended)
        assert changed is not None
        assert changed.suspended is suspended


async def test_all_secrets_move_to_a_new_key(registry: Registry, store: SqlStore) -> None:
    old, new = new_key(), new_key()
    made = [await registry.create(Vault(old), app_id=f"shop-{number}") for number in range(3)]
    assert await registry.reseal(Vault(f"{new},{old}")) == 3
    rows = await store.projects.all()
    assert sorted(Vault(new).unseal(row.app_id, row.secrets).secrets for row in rows) == sorted(
        project.secrets for project in made
    )
    with pytest.raises(Unavailable):
        Vault(old).unseal(rows[0].app_id, rows[0].secrets)


async def test_rotations_at_the_same_time_are_one_after_the_other(registry: Registry, vault: Vault) -> None:
    await registry.create(vault, app_id="shop")
    rotated = await asyncio.gather(*(registry.rotate(vault, "shop") for _ in range(8)))
    assert len({project.secret for project in rotated if project is not None}) == 8
    assert (await registry.list())[0].version == 9
