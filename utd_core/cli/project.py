"""`utd project`: the projects that a server works for, in its database. Servers on it notice within seconds."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ..errors import ErrorCode, InvalidInput, NotFound
from ..media.extras import needs_extra
from .assignments import flags_of, limits_of
from .database import File, Store, settings_of, with_database

if TYPE_CHECKING:
    from ..server import Project
    from ..server.hosting.registry import Known, Registry
    from ..server.hosting.vault import Vault

T = TypeVar("T")

NOTICED = 10.0
"""Seconds after which every server has noticed that a project is gone, and has ended what it ran for it."""
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

project = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

AppId = Annotated[str, typer.Argument(metavar="APP_ID", help="The project.")]
Name = Annotated[str | None, typer.Option(help="What people call it.")]
Flags = Annotated[
    list[str] | None, typer.Option("--flag", metavar="NAME=VALUE", help="true, false or unknown. May be repeated.")
]
Limits = Annotated[
    list[str] | None, typer.Option("--limit", metavar="NAME=VALUE", help="A number, or none. May be repeated.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@project.callback()
def about() -> None:
    """The projects that a server works for, in its database. Servers on it notice changes within seconds.

    Their secrets are encrypted with the key in UTD_SECRET_KEY, which `utd project keygen` makes.
    """
    with needs_extra("utd project", "server"):
        from .. import server  # noqa: F401  # whether it is there


@project.command()
def keygen() -> None:
    """Make a key that encrypts secrets. Set it on every node, and keep a copy: without it the secrets are lost."""
    from ..server.hosting.vault import VARIABLE, new_key

    print(f"{VARIABLE}={new_key()}")


@project.command()
def create(
    app_id: Annotated[str | None, typer.Argument(metavar="[APP_ID]", help="Made up where none is given.")] = None,
    name: Name = None,
    flag: Flags = None,
    limit: Limits = None,
    adopt: Annotated[bool, typer.Option("--adopt", help="Take over what is stored under this app id already.")] = False,
    config: File = None,
    store: Store = None,
    json_output: Json = False,
) -> None:
    """Make a project, and show its credentials. The secret is shown this once."""
    from ..server import ProjectFlags, ProjectLimits

    flags = ProjectFlags(**flags_of(flag or [], ProjectFlags))  # type: ignore[arg-type]  # checked by name
    limits = ProjectLimits(**limits_of(limit or [], ProjectLimits))  # type: ignore[arg-type]  # the same

    def make(registry: Registry, vault: Vault) -> Awaitable[Project]:
        return registry.create(vault, app_id=app_id, name=name or "", flags=flags, limits=limits, adopt=adopt)

    _show_credentials(_with_key(config, store, make), as_json=json_output)


@project.command("list")
def list_projects(config: File = None, store: Store = None, json_output: Json = False) -> None:
    """List every project, without its secrets."""
    found = _with_registry(config, store, lambda registry: registry.list())
    if json_output:
        for each in found:
            print(json.dumps(asdict(each), ensure_ascii=False))
    elif not found:
        print("There is none yet; make one: utd project create")
    else:
        _show_table(found)


@project.command()
def show(app_id: AppId, config: File = None, store: Store = None, json_output: Json = False) -> None:
    """Show a project, without its secrets."""
    _show(_known(_with_registry(config, store, lambda registry: registry.find(app_id)), app_id), as_json=json_output)


@project.command()
def change(
    app_id: AppId,
    name: Name = None,
    flag: Flags = None,
    limit: Limits = None,
    config: File = None,
    store: Store = None,
    json_output: Json = False,
) -> None:
    """Set a project's name, flags and limits; what is not named stays."""
    from ..server import ProjectFlags, ProjectLimits

    if name is None and not flag and not limit:
        raise InvalidInput("name what is to change: --name, --flag or --limit")
    flags, limits = flags_of(flag or [], ProjectFlags), limits_of(limit or [], ProjectLimits)
    changed = _with_registry(
        config, store, lambda registry: registry.change(app_id, name=name, flags=flags, limits=limits)
    )
    _show(_known(changed, app_id), as_json=json_output)


@project.command()
def rotate(
    app_id: AppId,
    keep: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long the old secret is accepted: 30m, 24h, 7d.")
    ] = None,
    at_once: Annotated[bool, typer.Option("--at-once", help="Accept the old secret no more: it has leaked.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Make no secret; accept only the newest one.")] = False,
    config: File = None,
    store: Store = None,
    json_output: Json = False,
) -> None:
    """Make a new secret, and show it this once. The old one is accepted until `rotate --finish`, or for a time."""
    if (keep is not None) + at_once + finish > 1:
        raise InvalidInput("give one of --keep, --at-once and --finish")
    if finish:
        finished = _with_key(config, store, lambda registry, vault: registry.finish_rotation(vault, app_id))
        _show(_known(finished, app_id), as_json=json_output)
        return
    until = None if keep is None else time.time() + _seconds(keep)
    rotated = _with_key(
        config, store, lambda registry, vault: registry.rotate(vault, app_id, until=until, at_once=at_once)
    )
    _show_credentials(_known(rotated, app_id), as_json=json_output)


@project.command()
def suspend(app_id: AppId, config: File = None, store: Store = None, json_output: Json = False) -> None:
    """Refuse everything that is asked of a project, and send its people away. What it has is kept."""
    changed = _with_registry(config, store, lambda registry: registry.suspend(app_id))
    _show(_known(changed, app_id), as_json=json_output)


@project.command()
def resume(app_id: AppId, config: File = None, store: Store = None, json_output: Json = False) -> None:
    """Let a suspended project go on."""
    changed = _with_registry(config, store, lambda registry: registry.suspend(app_id, False))
    _show(_known(changed, app_id), as_json=json_output)


@project.command()
def delete(
    app_id: AppId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds in which servers end what they run for it.")] = NOTICED,
    config: File = None,
    store: Store = None,
) -> None:
    """Delete a project with everything that it has: rooms, calls, events, secrets."""
    settings = settings_of(config, store)
    if settings.project is not None and settings.project.app_id == app_id:
        raise InvalidInput(f"{app_id!r} is the project of the settings, which a server works for; take it out of them")
    if not yes:
        typer.confirm(f"Delete {app_id} with its rooms, calls and events? Nothing brings them back", abort=True)

    async def end(registry: Registry) -> tuple[bool, int]:
        found = await registry.delete(app_id)
        if found:
            # What a server writes afterwards would stay.
            print(f"{app_id} is deleted; in {wait:g} s, when every server has noticed, so is what it has", flush=True)
            await asyncio.sleep(wait)
        return found, await registry.purge(app_id)

    found, rows = _with_registry(config, store, end)
    if not found and not rows:
        raise _unknown(app_id)
    print(f"{app_id}: {rows} rows deleted")


@project.command()
def reseal(config: File = None, store: Store = None) -> None:
    """Encrypt all secrets with the first key of UTD_SECRET_KEY; those behind it are then of no more use."""
    count = _with_key(config, store, lambda registry, vault: registry.reseal(vault))
    print(f"the secrets of {count} projects are encrypted with the first key")


def _with_key(config: Path | None, store: str | None, operation: Callable[[Registry, Vault], Awaitable[T]]) -> T:
    """The result of an operation that needs the key to the secrets. Raises `InvalidInput` without one."""
    from ..server.hosting.vault import Vault

    vault = Vault.from_environment()
    return _with_registry(config, store, lambda registry: operation(registry, vault))


def _with_registry(config: Path | None, store: str | None, operation: Callable[[Registry], Awaitable[T]]) -> T:
    from ..server.hosting.registry import Registry

    settings = settings_of(config, store)
    if settings.project is not None:
        print("utd: the settings name a project; a server with them works for that one alone", file=sys.stderr)
    return with_database(settings, lambda database: operation(Registry(database.projects)))


def _known(found: T | None, app_id: str) -> T:
    if found is None:
        raise _unknown(app_id)
    return found


def _unknown(app_id: str) -> NotFound:
    return NotFound(
        f"there is no project {app_id!r:.80}; `utd project list` shows which there are",
        code=ErrorCode.PROJECT_NOT_FOUND,
    )


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None:
        raise InvalidInput(f"a time is a number with s, m, h or d behind it (24h), got {text!r:.80}")
    return float(found[1]) * _UNITS[found[2]]


def _show_credentials(made: Project, *, as_json: bool) -> None:
    if as_json:
        shown = {"app_id": made.app_id, "key": made.key, "secret": made.secret, "name": made.name}
        print(json.dumps(shown, ensure_ascii=False))
        return
    print(f"app id    {made.app_id}\nkey       {made.key}\nsecret    {made.secret}")
    print("The secret is not shown again; keep it where your server finds it, and nobody else.", file=sys.stderr)


def _show(each: Known, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(each), ensure_ascii=False))
        return
    rows = {"app id": each.app_id, "key": each.key, "name": each.name, "state": _state(each)}
    values = {**rows, **asdict(each.flags), **asdict(each.limits)}
    width = max(map(len, values))
    for name, value in values.items():
        print(f"{name:<{width}}  {_word(value)}".rstrip())


def _show_table(found: list[Known]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("app id", "name", "key", "state")
    for each in found:
        state = _state(each)
        table.add_row(escape(each.app_id), escape(each.name), each.key, f"[red]{state}[/]" if each.suspended else state)
    Console().print(table)


def _state(each: Known) -> str:
    return "suspended" if each.suspended else "active"


def _word(value: object) -> str:
    words: dict[object, str] = {None: "-", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
