"""`utd webhook add`, `list`, `rotate` and `remove`: whom a project in the database tells what happens."""

from __future__ import annotations

import asyncio
import json
import secrets as random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ..errors import InvalidInput, NotFound
from .database import File, Store, settings_of, with_database
from .project import NOTICED

if TYPE_CHECKING:
    from ..server.hosting.registry import Registry
    from ..server.hosting.vault import Vault
    from ..server.webhooks import WebhookEndpoint
    from ..store.sql_store import SqlStore

T = TypeVar("T")

Of = Annotated[str, typer.Option("--project", metavar="APP_ID", help="The project, by its app id.")]
Name = Annotated[str, typer.Argument(help="What the endpoint is called; what waits, waits for this name.")]


def add(
    name: Name,
    url: Annotated[str, typer.Argument(help="Where it is.")],
    project: Of,
    type: Annotated[list[str] | None, typer.Option(help='Only these events: "room_ended", "call_*"; often.')] = None,
    config: File = None,
    store: Store = None,
) -> None:
    """Have an endpoint told what happens in a project; prints the secret that signs, once."""

    async def put(registry: Registry, vault: Vault, _: SqlStore) -> str:
        from ..server.webhooks import WebhookEndpoint

        if any(endpoint.name == name for endpoint in await _present(registry, vault, project)):
            raise InvalidInput(f"project {project!r} has a webhook {name!r}; remove it first, or take another name")
        endpoint = WebhookEndpoint(name, url, (_new_secret(),), tuple(type or ()))
        await registry.put_webhook(vault, project, endpoint)
        return endpoint.secrets[0]

    print(f"The secret for it: {_with_registry(config, store, put)}")


def list_endpoints(
    project: Of,
    config: File = None,
    store: Store = None,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List a project's endpoints, without their secrets."""
    for endpoint in _with_registry(config, store, lambda registry, vault, _: _present(registry, vault, project)):
        wanted = list(endpoint.types)
        if json_output:
            rotating = len(endpoint.secrets) > 1
            print(json.dumps({"name": endpoint.name, "url": endpoint.url, "types": wanted, "rotating": rotating}))
        else:
            print(f"{endpoint.name} {endpoint.url} {', '.join(wanted) or '(every event)'}")


def rotate(
    name: Name,
    project: Of,
    finish: Annotated[bool, typer.Option("--finish", help="Sign with the new secret alone from now on.")] = False,
    config: File = None,
    store: Store = None,
) -> None:
    """Sign with a new secret beside the present one, until `--finish`; prints it, once."""

    async def turn(registry: Registry, vault: Vault, _: SqlStore) -> str:
        endpoint = await _named(registry, vault, project, name)
        kept = endpoint.secrets[:1]
        changed = replace(endpoint, secrets=kept if finish else (_new_secret(), *kept))
        await registry.put_webhook(vault, project, changed)
        return changed.secrets[0]

    secret = _with_registry(config, store, turn)
    print("Only the newest secret signs" if finish else f"The new secret for it: {secret}")


def remove(
    name: Name,
    project: Of,
    wait: Annotated[float, typer.Option(help="Seconds in which servers notice.")] = NOTICED,
    config: File = None,
    store: Store = None,
) -> None:
    """Tell an endpoint no more; what waits for it is deleted, and so are its dead events."""

    async def drop(registry: Registry, vault: Vault, database: SqlStore) -> int:
        await _named(registry, vault, project, name)
        await registry.remove_webhook(vault, project, name)
        # What a server writes for it meanwhile would stay.
        print(f"{name} is removed; in {wait:g} s, when every server has noticed, so is what waits for it", flush=True)
        await asyncio.sleep(wait)
        async with database.scoped(project) as rows:
            return await rows.outbox.discard(name)

    print(f"{_with_registry(config, store, drop)} events for it are deleted")


async def _present(registry: Registry, vault: Vault, project: str) -> tuple[WebhookEndpoint, ...]:
    found = await registry.webhooks(vault, project)
    if found is None:
        raise NotFound(f"there is no project {project!r} in the database; those in the settings have theirs there, too")
    return found


async def _named(registry: Registry, vault: Vault, project: str, name: str) -> WebhookEndpoint:
    for endpoint in await _present(registry, vault, project):
        if endpoint.name == name:
            return endpoint
    raise NotFound(f"project {project!r} has no webhook {name!r}; `utd webhook list` names them")


def _with_registry(
    config: Path | None, store: str | None, operation: Callable[[Registry, Vault, SqlStore], Awaitable[T]]
) -> T:
    """The result of an operation on the projects in the database that the settings name."""
    settings = settings_of(config, store)
    from ..server.hosting.registry import Registry
    from ..server.hosting.vault import Vault

    vault = Vault.from_environment()
    return with_database(settings, lambda database: operation(Registry(database.projects), vault, database))


def _new_secret() -> str:
    return random.token_hex(32)
