"""Every hook that a plugin may implement. The functions here are empty: signature and docstring are the contract.

An implementation may leave out arguments that it does not need. It is called on its own: what it raises is
reported as this plugin's error (`plugin_failed`), and other plugins go on working.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pluggy

from ..bus import BusSpec
from ..concurrency import Clock
from ..media.backend import BackendSpec, MediaBackend
from .check import Check

PROJECT = "utd"
"""pluggy's project name, and the entry-point group of plugins."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Harness = Callable[[Clock], AbstractAsyncContextManager[MediaBackend]]
"""Opens a backend for one test, on the given clock, with all that it needs; closes both afterwards."""


@hookspec
def utd_media_backends() -> list[BackendSpec]:
    """The media backends that this plugin offers.

    Called once, when the plugin is loaded, so it must not import a media library: `BackendSpec.create` does
    that, when the backend is really wanted. A name that another plugin has already registered is refused.
    """
    return []


@hookspec
def utd_message_buses() -> list[BusSpec]:
    """The message buses that this plugin offers: ways in which the nodes of a server talk to each other.

    Called once, when the plugin is loaded, so it must not import a client library: `BusSpec.create` does that. `local`
    and `redis` come with utd-core; a name or a URL scheme that is taken is refused.
    """
    return []


@hookspec
def utd_doctor() -> list[Check]:
    """What this plugin needs from the machine, and whether it is there; shown by `utd doctor`.

    May look at files, binaries on PATH, environment variables and importable modules; takes no longer than a
    second or two, and changes nothing.
    """
    return []


@hookspec(firstresult=True)
def utd_contract_harness(name: str) -> Harness | None:
    """How the contract suite opens the backend `name`, or None when this plugin has nothing to say about it.

    For backends that need a server started first. Without an answer from any plugin the suite opens a backend
    with `BackendSpec.create({}, clock)` and closes it by `aclose`.
    """
    return None
