"""The database of a server, as `utd serve` would find it: for commands that look after what is in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ..errors import InvalidInput
from ..media.extras import needs_extra

if TYPE_CHECKING:
    from ..server.settings import ServerSettings
    from ..store.sql_store import SqlStore

T = TypeVar("T")

File = Annotated[Path | None, typer.Option("--config", help="The server's settings; by default utd.toml.")]
Store = Annotated[str | None, typer.Option(help="The server's store, if the settings do not say it: a file, a URL.")]


def settings_of(config: Path | None, store: str | None) -> ServerSettings:
    """The settings of the server. Raises `InvalidInput` where they are wrong, or name no store that lasts."""
    with needs_extra("a server's settings", "server"):
        from ..server.settings import ServerSettings
    from ..store.factory import MEMORY

    settings = ServerSettings.load({} if store is None else {"store": store}, file=config)
    if settings.store == MEMORY:
        raise InvalidInput("a store in memory ends with its server; name a file or a database (--store, or settings)")
    return settings


def with_database(settings: ServerSettings, operation: Callable[[SqlStore], Awaitable[T]]) -> T:
    """The result of an operation on the open store of the settings. Raises what opening it does."""
    from ..store import open_store

    async def run() -> T:
        async with open_store(settings.store) as database:
            return await operation(database)

    return asyncio.run(run())
