"""Plugins to test with, good ones and wrong ones."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from utd_core.concurrency import Clock
from utd_core.hooks import hookimpl
from utd_core.media.backend import BackendSpec, ConnectOptions, JoinTicket, MediaBackend, MediaConnection, MediaControl
from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import Fault

CAPABILITIES = Capabilities(video=False)


class Backend(MediaBackend):
    """A backend that can do nothing but be chosen."""

    name = "fine"
    capabilities = CAPABILITIES
    faults = frozenset({Fault.JITTER})

    def __init__(self, settings: Mapping[str, Any], clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.closed = False

    @property
    def control(self) -> MediaControl:
        raise AssertionError("not asked for")

    async def connect(self, ticket: JoinTicket, options: ConnectOptions | None = None) -> MediaConnection:
        raise AssertionError("not asked for")

    async def aclose(self) -> None:
        self.closed = True


def spec_of(name: str = "fine", create: Callable[..., Any] = Backend, **fields: Any) -> BackendSpec:
    fields = {"capabilities": CAPABILITIES, "faults": Backend.faults, **fields}
    return BackendSpec(name=name, summary="for tests", create=create, **fields)


class Plugin:
    """Offers the given backends."""

    def __init__(self, *specs: BackendSpec) -> None:
        self.specs = list(specs)

    @hookimpl
    def utd_media_backends(self) -> list[BackendSpec]:
        return self.specs


def module(name: str, **functions: object) -> types.ModuleType:
    """A plugin module whose functions claim to be its own."""
    made = types.ModuleType(name)
    for attribute, function in functions.items():
        if isinstance(function, types.FunctionType):
            function.__module__ = name
        setattr(made, attribute, function)
    return made


class Installed:
    """Distributions that are installed as far as a manager with these `entry_points` can tell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entry_points: list[importlib.metadata.EntryPoint] = []
        self._monkeypatch = monkeypatch

    def add(self, name: str, plugin: object) -> None:
        """Install a plugin object under a module of its own; a string is the module to point at."""
        place = plugin if isinstance(plugin, str) else f"installed_{name.replace('-', '_')}_{len(self.entry_points)}"
        if not isinstance(plugin, str):
            holder = types.ModuleType(place)
            holder.plugin = plugin  # type: ignore[attr-defined]  # a module made for this
            self._monkeypatch.setitem(sys.modules, place, holder)
            place = f"{place}:plugin"
        self.entry_points.append(importlib.metadata.EntryPoint(name, place, "utd"))
