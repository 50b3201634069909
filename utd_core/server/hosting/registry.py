"""The projects in a database: made, changed and ended. Servers on it notice within seconds.

Secrets are shown by whatever makes them, and never again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

from ...errors import Conflict, Unavailable
from ...model.identifiers import check_app_id
from ...store.projects import StoredProject, StoredProjects
from ..projects import Project, ProjectFlags, ProjectLimits
from ..webhooks.endpoints import WebhookEndpoint
from .vault import VARIABLE, Secrets, Vault

MOST_WEBHOOKS = 20
"""Of one project: an event that all of them want is written so often."""

T = TypeVar("T", ProjectFlags, ProjectLimits)


@dataclass(frozen=True, slots=True)
class Known:
    """What may be known of a project without the key to its secrets. `version` rises with every change."""

    app_id: str
    key: str
    name: str
    flags: ProjectFlags
    limits: ProjectLimits
    suspended: bool
    version: int


class Registry:
    """Raises as a `Store` does."""

    def __init__(self, stored: StoredProjects) -> None:
        self._stored = stored

    async def list(self) -> list[Known]:
        """Every project, by app id."""
        return [known(row) for row in await self._stored.all()]

    async def find(self, app_id: str) -> Known | None:
        row = await self._stored.load(app_id)
        return None if row is None else known(row)

    async def create(
        self,
        vault: Vault,
        *,
        app_id: str | None = None,
        name: str = "",
        flags: ProjectFlags | None = None,
        limits: ProjectLimits | None = None,
        adopt: bool = False,
    ) -> Project:
        """A new project, with new credentials; its app id is made up where none is given.

        `adopt`: what is stored under this app id already becomes the project's. Raises `InvalidInput`, `Conflict` when
        there is such a project, and `Unavailable` where the vault reads none of the projects that are there: a server
        has one key for all.
        """
        await self._check_key(vault)
        project = Project(
            check_app_id(_new_app_id() if app_id is None else app_id),
            secrets.token_hex(10),
            (_new_secret(),),
            name,
            flags or ProjectFlags(),
            limits or ProjectLimits(),
        )
        sealed = vault.seal(project.app_id, Secrets(project.secrets, _new_secret()))
        await self._stored.create(_row(project, sealed), adopt=adopt)
        return project

    async def change(
        self,
        app_id: str,
        *,
        name: str | None = None,
        flags: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
    ) -> Known | None:
        """Give the project another name, and set some of its flags and limits; None where there is no such project.
        Raises `InvalidInput` for a limit that is none."""

        def changed(row: StoredProject) -> StoredProject:
            row = replace(
                row,
                name=row.name if name is None else name,
                # What a newer version wrote beside them stays.
                flags=json.dumps({**json.loads(row.flags), **(flags or {})}),
                limits=json.dumps({**json.loads(row.limits), **(limits or {})}),
            )
            known(row)
            return row

        row = await self._stored.change(app_id, changed)
        return None if row is None else known(row)

    async def rotate(
        self, vault: Vault, app_id: str, *, until: float | None = None, at_once: bool = False
    ) -> Project | None:
        """The project with a new secret, which signs from now on; None where there is no such project. The secret
        before it is accepted until `finish_rotation`, or `until` a time (seconds since the Unix epoch), or no more,
        `at_once`. Raises `Unavailable` too."""
        fresh = _new_secret()

        def turn(row: StoredProject) -> StoredProject:
            present = vault.unseal(app_id, row.secrets)
            kept = () if at_once else present.secrets[:1]
            return replace(row, secrets=vault.seal(app_id, replace(present, secrets=(fresh, *kept), kept_until=until)))

        row = await self._stored.change(app_id, turn)
        return None if row is None else project_of(row, vault.unseal(app_id, row.secrets))

    async def finish_rotation(self, vault: Vault, app_id: str) -> Known | None:
        """Accept only the newest secret; None where there is no such project. Raises `Unavailable` too."""

        def drop(row: StoredProject) -> StoredProject:
            present = vault.unseal(app_id, row.secrets)
            only = replace(present, secrets=present.secrets[:1], kept_until=None)
            return replace(row, secrets=vault.seal(app_id, only))

        row = await self._stored.change(app_id, drop)
        return None if row is None else known(row)

    async def webhooks(self, vault: Vault, app_id: str) -> tuple[WebhookEndpoint, ...] | None:
        """Those of a project, by name; None where there is no such project. Raises `Unavailable` too."""
        row = await self._stored.load(app_id)
        return None if row is None else vault.unseal(app_id, row.secrets).webhooks

    async def put_webhook(self, vault: Vault, app_id: str, endpoint: WebhookEndpoint) -> bool:
        """Tell an endpoint from now on; one of its name that is there is replaced. False where there is no such
        project. Raises `Conflict` beyond as many as a project may have, and `Unavailable` too."""

        def put(present: tuple[WebhookEndpoint, ...]) -> tuple[WebhookEndpoint, ...]:
            others = tuple(each for each in present if each.name != endpoint.name)
            if len(others) >= MOST_WEBHOOKS:
                raise Conflict(f"a project has {MOST_WEBHOOKS} webhooks at most; remove one first")
            return tuple(sorted((*others, endpoint), key=attrgetter("name")))

        return await self._change_webhooks(vault, app_id, put)

    async def remove_webhook(self, vault: Vault, app_id: str, name: str) -> bool:
        """Tell the endpoint of this name no more; False where there is no such project. Raises `Unavailable` too."""
        return await self._change_webhooks(
            vault, app_id, lambda present: tuple(each for each in present if each.name != name)
        )

    async def _change_webhooks(
        self, vault: Vault, app_id: str, make: Callable[[tuple[WebhookEndpoint, ...]], tuple[WebhookEndpoint, ...]]
    ) -> bool:
        def turn(row: StoredProject) -> StoredProject:
            present = vault.unseal(app_id, row.secrets)
            sealed = vault.seal(app_id, replace(present, webhooks=make(present.webhooks)))
            return replace(row, secrets=sealed)

        return await self._stored.change(app_id, turn) is not None

    async def reseal(self, vault: Vault) -> int:
        """Encrypt the secrets of all projects with the vault's first key; how many projects that was."""
        rows = await self._stored.all()
        for row in rows:
            await self._stored.change(row.app_id, lambda now: replace(now, secrets=vault.reseal(now.secrets)))
        return len(rows)

    async def suspend(self, app_id: str, suspended: bool = True) -> Known | None:
        """Refuse everything that is asked of the project, or no more; None where there is no such project."""
        row = await self._stored.change(app_id, lambda row: replace(row, suspended=suspended))
        return None if row is None else known(row)

    async def delete(self, app_id: str) -> bool:
        """Forget the project; whether there was one. Servers end it within seconds; then `purge` what it has."""
        return await self._stored.delete(app_id)

    async def purge(self, app_id: str) -> int:
        """Delete everything that a deleted project has in the database; how many rows that was."""
        return await self._stored.purge(app_id)

    async def _check_key(self, vault: Vault) -> None:
        rows = await self._stored.all()
        for row in rows:
            with suppress(Unavailable):
                vault.unseal(row.app_id, row.secrets)
                return
        if rows:
            raise Unavailable(
                f"the projects that are in the database were encrypted with another key than that in {VARIABLE}; a "
                "server reads all of them with one, so set that"
            )


def known(row: StoredProject) -> Known:
    """A row without its secrets."""
    flags, limits = _parsed(ProjectFlags, row.flags), _parsed(ProjectLimits, row.limits)
    return Known(row.app_id, row.key, row.name, flags, limits, row.suspended, row.version)


def project_of(row: StoredProject, found: Secrets, now: float = 0.0) -> Project:
    """A row as the project that it is at this time, with the secrets that were found in it."""
    public = known(row)
    return Project(
        row.app_id,
        row.key,
        found.accepted(now),
        row.name,
        public.flags,
        public.limits,
        row.suspended,
        found.webhooks,
    )


def _row(project: Project, sealed: bytes) -> StoredProject:
    flags, limits = json.dumps(asdict(project.flags)), json.dumps(asdict(project.limits))
    return StoredProject(project.app_id, project.key, sealed, project.name, flags, limits, project.suspended, 1)


def _parsed(kind: type[T], text: str) -> T:
    """Flags or limits from JSON; what a newer version wrote beside them means nothing here."""
    names = {field.name for field in fields(kind)}
    found: dict[str, Any] = json.loads(text)
    return kind(**{name: value for name, value in found.items() if name in names})


_new_app_id = partial(secrets.token_hex, 6)
_new_secret = partial(secrets.token_hex, 32)
