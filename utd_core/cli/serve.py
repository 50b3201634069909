"""`utd serve`: the engine over HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInput
from ..media.extras import needs_extra

if TYPE_CHECKING:
    from ..server.settings import ServerSettings

log = logging.getLogger("utd_core.server")

File = Annotated[Path | None, typer.Option("--config", help="Settings, as TOML; by default utd.toml, if it is there.")]
Host = Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (8080); 0 takes a free one.")]
Store = Annotated[str | None, typer.Option(help="Where rooms and calls are kept: a file (utd.db), or :memory:.")]
Media = Annotated[str | None, typer.Option(help="The media backend (mock).")]
Setting = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting, often.")]
Dev = Annotated[bool, typer.Option("--dev", help="Try it out: a project is made, and its credentials shown.")]
Show = Annotated[bool, typer.Option("--print-settings", help="Print the settings, secrets blanked, and end.")]


def serve(
    config: File = None,
    host: Host = None,
    port: Port = None,
    store: Store = None,
    media: Media = None,
    setting: Setting = None,
    dev: Dev = False,
    print_settings: Show = False,
) -> None:
    """Serve the engine over HTTP and WebSocket.

    Settings come from flags, from the environment (UTD_PORT, UTD_ENGINE__TICKET_TTL) and from a file, in this order.
    SIGTERM and Ctrl-C let what is under way finish; a second one ends at once.
    """
    with needs_extra("utd serve", "server"):
        from ..server.serving.dev import dev_defaults
        from ..server.settings import ServerSettings

    given = {"host": host, "port": port, "store": store, "media": media}
    flags = _nested(setting or [])
    flags.update({name: value for name, value in given.items() if value is not None})
    try:
        settings = ServerSettings.load(flags, file=config, defaults=dev_defaults(Path.cwd()) if dev else None)
    except InvalidInput as error:
        for problem in error.details.get("problems", [error.message]):
            print(f"utd: {problem}", file=sys.stderr)
        raise typer.Exit(1) from None
    if print_settings:
        print(settings.as_toml(), end="")
        return
    _run(settings, dev=dev)


def _run(settings: ServerSettings, *, dev: bool) -> None:
    from ..server.operations.logs import Logs
    from ..server.serving.dev import banner
    from ..server.serving.listening import address_of, listening
    from ..server.serving.node import Node
    from ..server.serving.server import serve

    with Logs(settings.log_format, settings.log_level, secrets=settings.secrets()) as logs:
        node = Node(settings, logs=logs)
        with listening(settings.host, settings.port, settings.uds) as bound:

            def started() -> None:
                log.info("ready at %s", address_of(bound))
                if dev and settings.project is not None:
                    print(banner(settings.project.as_project(), address_of(bound)), flush=True)

            with asyncio.Runner(loop_factory=_loop()) as runner:
                runner.run(serve(node, bound, settings, started=started))


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loops, where there is uvloop."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def _nested(assignments: list[str]) -> dict[str, Any]:
    """`a.b=c` as {"a": {"b": "c"}}. Raises `InvalidInput`."""
    nested: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator or not name:
            raise InvalidInput(f"--set takes NAME=VALUE, got {name!r}")
        *tables, last = name.split(".")
        table = nested
        for each in tables:
            table = table.setdefault(each, {})
        table[last] = value
    return nested
