"""`utd contract`: run the contract suite against a media backend."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ErrorCode, PluginError, UTDStreamException

NO_BACKEND = 2
"""Exit status when there is nothing to test: no such backend, or its plugin is broken."""


def contract(
    backend: Annotated[str, typer.Argument(help="A plugin's backend, or module:SPEC for one not yet registered.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON in the last line.")] = False,
    filters: Annotated[
        str, typer.Option("--filter", help="Only these behaviours: numbers (C12, M2?), a part, words; by commas.")
    ] = "",
    scale: Annotated[
        float, typer.Option("--time-scale", min=0.01, help="Give a slow backend this many times as long.")
    ] = 1.0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every test as it runs.")] = False,
) -> None:
    """Run the contract suite against a media backend.

    The behaviours and their numbers stand in docs/reference/contract.md. A backend is excused only from what it
    declares that it cannot do. The exit status is 0 when nothing failed and something passed, 1 when something
    failed, 2 when there is no such backend.
    """
    try:
        from ..testing.contract.run import run_contract
    except ImportError as error:
        raise UTDStreamException(
            f'the contract suite needs {error.name}; pip install "utd-core[testing]"', code=ErrorCode.MISSING_EXTRA
        ) from error
    # As `python -m` does: a plugin that is being written lies in the folder where its author is.
    sys.path.insert(0, str(Path.cwd()))
    try:
        outcome = run_contract(
            backend, filters=filters, scale=scale, pytest_arguments=["--verbosity=1"] if verbose else []
        )
    except PluginError as error:
        print(f"utd: {error}", file=sys.stderr)
        raise typer.Exit(NO_BACKEND) from None
    if json_output:
        print(json.dumps(outcome.as_dict()))
    raise typer.Exit(0 if outcome.ok else 1)
