"""`utd`: a table of subcommands, each in a module of its own that is imported when it is run.

To add one: write `utd_core/cli/<name>.py` with a function whose parameters are typer's (a docstring is its help),
and put a line into `COMMANDS`. `utd --help` reads the table and imports none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..errors import UTDStreamException
from ..version import __version__


@dataclass(frozen=True, slots=True)
class Subcommand:
    """`module`, in this package, has `function`: a function, or a `typer.Typer` with subcommands of its own.

    `summary` is its line in `utd --help`.
    """

    module: str
    function: str
    summary: str

    def load(self, name: str) -> Any:
        """Import the module and make the command (click's, which typer may bring along under a name of its own)."""
        found = getattr(import_module(f"{__package__}.{self.module}"), self.function)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name)(found)
        return typer.main.get_command(app)


COMMANDS: Mapping[str, Subcommand] = {
    "demo": Subcommand("demo", "demo", "A room full of people hears a real voice, in this terminal."),
    "serve": Subcommand("serve", "serve", "Serve the engine over HTTP and WebSocket."),
    "project": Subcommand("project", "project", "Make, change and end the projects in a server's database."),
    "webhook": Subcommand("webhook", "webhook", "See what webhooks tell, and what was never taken."),
    "contract": Subcommand("contract", "contract", "Run the contract suite against a media backend."),
    "plugins": Subcommand("plugins", "plugins", "Show the installed plugins, their backends and what those can do."),
    "doctor": Subcommand("doctor", "doctor", "Say what works on this machine, and how to get the rest."),
}


class LazyGroup(TyperGroup):
    """Shows a subcommand by its line of the table, and imports it to run it."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        known = COMMANDS.get(cmd_name)
        return None if known is None else TyperCommand(cmd_name, help=known.summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, shown, rest = super().resolve_command(ctx, args)
        known = COMMANDS.get(name or "")
        return name, shown if known is None else known.load(name or ""), rest


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"utd-core {__version__}")
        raise typer.Exit


@app.callback()
def utd(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """One session API (rooms, seats, stage, calls) over any media backend, with an engine you own."""


def main(arguments: list[str] | None = None) -> Any:
    """The entry point of `utd`. An error of this package is one line on stderr and exit status 1."""
    try:
        return app(arguments, prog_name="utd")
    except UTDStreamException as error:
        print(f"utd: {error}", file=sys.stderr)
        sys.exit(1)
