"""Which backend the suite runs against: the options of pytest, and what they mean."""

from __future__ import annotations

import fnmatch
import importlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from ...concurrency import Clock
from ...errors import BackendNotFound, UTDStreamException
from ...hooks import Harness as OpenBackend
from ...hooks import default_manager
from ...media.backend import BackendSpec, MediaBackend
from .behaviours import Behaviour

_NUMBER = re.compile(r"[MCS][0-9*?\[\]-]*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """A backend, how it is opened, and which of the behaviours are asked for."""

    spec: BackendSpec
    open_backend: OpenBackend
    filters: tuple[str, ...] = ()
    scale: float = 1.0

    def wants(self, behaviour: Behaviour, test: str = "") -> bool:
        """True without filters, or when one fits: a number (`C12`, `M2?`, `C*`), a part, or words of the sentence."""
        return not self.filters or any(_fits(text.lower(), behaviour, test.lower()) for text in self.filters)


def find_target(name: str, *, filters: str = "", scale: float = 1.0) -> Target:
    """The backend `name`: one that a plugin registered, or `module:attribute`, a `BackendSpec` not yet registered.

    `filters`: separated by commas. Raises `BackendNotFound` with help, or the `PluginError` of a broken plugin.
    """
    wanted = tuple(part.strip() for part in filters.split(",") if part.strip())
    if ":" in name:
        spec = _import_spec(name)
        return Target(spec, plainly(spec), wanted, scale)
    manager = default_manager()
    open_backend = manager.contract_harness(name)
    declared: BackendSpec = getattr(open_backend, "spec", None) or manager.spec(name)
    return Target(declared, open_backend, wanted, scale)


_TARGET = pytest.StashKey[Target]()


def target_of(config: pytest.Config) -> Target:
    """The target of a pytest run, found once. Raises `pytest.UsageError` with help when it is unknown."""
    if _TARGET not in config.stash:
        name = config.getoption("utd_backend")
        if not name:
            raise pytest.UsageError("the contract suite needs a backend: --utd-backend NAME (`utd plugins` lists them)")
        filters, scale = config.getoption("utd_filter"), config.getoption("utd_time_scale")
        try:
            config.stash[_TARGET] = find_target(name, filters=filters, scale=scale)
        except UTDStreamException as error:
            raise pytest.UsageError(error.message) from error
    return config.stash[_TARGET]


def _fits(text: str, behaviour: Behaviour, test: str) -> bool:
    if _NUMBER.match(text):
        return fnmatch.fnmatch(behaviour.number.lower(), text)
    return text == behaviour.part.heading.lower() or text in test or text in behaviour.sentence.lower()


def _import_spec(path: str) -> BackendSpec:
    module, _, attribute = path.partition(":")
    try:
        spec = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise BackendNotFound(f"{path!r} is no backend: {error}; give the name of a plugin, or module:SPEC") from error
    if not isinstance(spec, BackendSpec):
        raise BackendNotFound(f"{path!r} is a {type(spec).__name__}, not a BackendSpec")
    return spec


def plainly(spec: BackendSpec) -> OpenBackend:
    """Opens a backend as the suite does it for a plugin that has no harness of its own."""

    @asynccontextmanager
    async def open_backend(clock: Clock) -> AsyncIterator[MediaBackend]:
        backend = spec.create({}, clock)
        try:
            yield backend
        finally:
            await backend.aclose()

    return open_backend
