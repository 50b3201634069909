"""Where a server learns which projects there are: in its database, or the one of its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple, Protocol

from ..store.projects import StoredProject, StoredProjects
from ..store.sql_store import SqlStore
from .projects import Project
from .registry import project_of
from .vault import Vault


class Version(NamedTuple):
    """Another `number`: the project was changed. Another `key`: it was deleted, and made anew under its name."""

    number: int
    key: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """A project as it is now. `token_key` signs its user tokens; None: one that its engine keeps in the store.
    `good_until`: then it is another one, in seconds since the Unix epoch."""

    project: Project
    token_key: bytes | None = field(default=None, repr=False)
    good_until: float = inf


class Entry(Protocol):
    """What a directory says of one project."""

    @property
    def app_id(self) -> str: ...

    @property
    def version(self) -> Version: ...

    @property
    def suspended(self) -> bool: ...

    def tenant(self, now: float) -> Tenant:
        """The project at this time. Raises `Unavailable` where its secrets cannot be read."""
        ...


class Directory(Protocol):
    """Knows the projects of a server. Raises as a `Store` does."""

    async def all(self) -> Sequence[Entry]: ...

    async def changes(self) -> int:
        """Another number than before: `versions` may say something else than before. Asked every few seconds."""
        ...

    async def versions(self) -> Mapping[str, Version]:
        """Of every project, by app id."""
        ...

    async def entry(self, app_id: str) -> Entry | None: ...


class OneProject:
    """The directory of a server whose settings say for whom it works; the project's entry as well."""

    def __init__(self, project: Project) -> None:
        self.app_id = project.app_id
        self.version = Version(1, project.key)
        self.suspended = project.suspended
        self._tenant = Tenant(project)

    def tenant(self, now: float) -> Tenant:
        return self._tenant

    async def all(self) -> Sequence[Entry]:
        return (self,)

    async def changes(self) -> int:
        return 0

    async def versions(self) -> Mapping[str, Version]:
        return {self.app_id: self.version}

    async def entry(self, app_id: str) -> Entry | None:
        return self if app_id == self.app_id else None


class StoredDirectory:
    """The projects in the database of an open store, whose secrets `vault` reads."""

    def __init__(self, store: SqlStore, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def all(self) -> Sequence[Entry]:
        return [_StoredEntry(row, self._vault) for row in await self._stored.all()]

    async def changes(self) -> int:
        return await self._stored.changes()

    async def versions(self) -> Mapping[str, Version]:
        return {app_id: Version(*version) for app_id, version in (await self._stored.versions()).items()}

    async def entry(self, app_id: str) -> Entry | None:
        row = await self._stored.load(app_id)
        return None if row is None else _StoredEntry(row, self._vault)

    @property
    def _stored(self) -> StoredProjects:
        return self._store.projects


class _StoredEntry:
    """Its secrets are decrypted when somebody asks for the project, and not before."""

    __slots__ = ("_row", "_vault", "app_id", "suspended", "version")

    def __init__(self, row: StoredProject, vault: Vault) -> None:
        self.app_id = row.app_id
        self.version = Version(row.version, row.key)
        self.suspended = row.suspended
        self._row = row
        self._vault = vault

    def tenant(self, now: float) -> Tenant:
        secrets = self._vault.unseal(self.app_id, self._row.secrets)
        good_until = inf if secrets.kept_until is None or secrets.kept_until <= now else secrets.kept_until
        return Tenant(project_of(self._row, secrets, now), secrets.token_key.encode(), good_until)
