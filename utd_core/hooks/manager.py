"""Finds plugins, loads them at first use, and hands out what they offer.

A plugin that is wrong is kept out with its error, and the others work: `plugins` shows both.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.util
import os
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pluggy

from ..bus import BusSpec, MessageBus
from ..concurrency import Clock, SystemClock
from ..errors import BackendNotFound, ErrorCode, PluginError, UTDStreamException
from ..media.backend import BackendSpec, MediaBackend
from . import builtin, validate
from . import buses as bus_rules
from . import spec as hookspecs
from .check import Check
from .spec import Harness

ALLOW_LIST = "UTD_PLUGINS"

_KNOWN = {"mock": "utd-mock", "livekit": "utd-livekit", "webrtc_p2p": "utd-webrtc-p2p"}
"""Backends of this project, with the distribution to install."""


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """An installed plugin. `error` says why it is kept out, or which of its hooks failed."""

    name: str
    distribution: str = ""
    version: str = ""
    backends: tuple[BackendSpec, ...] = ()
    buses: tuple[BusSpec, ...] = ()
    error: PluginError | None = None


class PluginManager:
    """Plugins of one process.

    `allow`: names of the plugins to load, None for all; by default what `UTD_PLUGINS` says. `entry_points`: where
    to look, by default the installed distributions' group `utd`.
    """

    def __init__(
        self,
        *,
        allow: Collection[str] | None = None,
        entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
    ) -> None:
        self._allow = allowed_by_environment() if allow is None else frozenset(allow)
        self._entry_points = entry_points
        self._plugins: dict[str, PluginInfo] = {}
        self._left_out: frozenset[str] = frozenset()
        self._installed: frozenset[str] = frozenset()
        self._hooks = pluggy.PluginManager(hookspecs.PROJECT)
        self._hooks.add_hookspecs(hookspecs)
        self._builtin = PluginInfo(builtin.NAME, builtin.NAME, buses=tuple(builtin.utd_message_buses()))
        self._loaded = False
        # A plugin that is being loaded may ask for the others, so the thread that loads is let through.
        self._loading = threading.RLock()

    def register(self, plugin: object, name: str, *, distribution: str = "", version: str = "") -> PluginInfo:
        """Register a plugin by hand (an application's own, or a test's). Raises `PluginError` and keeps it out."""
        self.load()
        return self._register(plugin, name, distribution, version)

    def load(self) -> None:
        """Load every installed and allowed plugin, in the order of their names. Idempotent; raises nothing.

        May be called in several threads (engines that open at once do so): all return when everything is loaded.
        """
        with self._loading:
            if not self._loaded:
                self._loaded = True
                self._load_all()

    def _load_all(self) -> None:
        found = self._entry_points
        if found is None:
            found = importlib.metadata.entry_points(group=hookspecs.PROJECT)
        ordered = sorted(found, key=lambda entry: (entry.name, entry.value))
        chosen = [entry for entry in ordered if self._allow is None or entry.name in self._allow]
        self._installed = frozenset(entry.name for entry in chosen)
        for entry in chosen:
            self._load(entry)
        names = {entry.name for entry in ordered}
        self._left_out = frozenset(names - (self._allow if self._allow is not None else names))
        for missing in sorted((self._allow or frozenset()) - names):
            error = PluginError(
                f"{ALLOW_LIST} names the plugin {missing!r}, which is not installed; {_how_to_install(missing)}"
            )
            self._plugins[missing] = PluginInfo(missing, error=error)

    @property
    def plugins(self) -> list[PluginInfo]:
        """Every plugin, those that are kept out too, by name."""
        self.load()
        return sorted(self._plugins.values(), key=lambda info: info.name)

    @property
    def backends(self) -> dict[str, BackendSpec]:
        """Every backend that can be chosen, by name."""
        return {spec.name: spec for info in self.plugins for spec in info.backends}

    @property
    def buses(self) -> dict[str, BusSpec]:
        """Every message bus that can be chosen, by name; those that come with utd-core first."""
        return {spec.name: spec for info in (self._builtin, *self.plugins) for spec in info.buses}

    def spec(self, name: str) -> BackendSpec:
        """A backend by name. Raises `BackendNotFound`, or the `PluginError` of the plugin that should have it."""
        backends = self.backends
        if name in backends:
            return backends[name]
        broken = self._plugins.get(name)
        if broken is not None and broken.error is not None:
            raise broken.error
        raise self._not_found(name)

    def create_backend(
        self, backend: str | MediaBackend, settings: Mapping[str, Any] | None = None, clock: Clock | None = None
    ) -> MediaBackend:
        """The backend of that name, made with its settings; a `MediaBackend` is passed through unchanged.

        Raises `BackendNotFound`, `UTDStreamException` (missing_extra) when a library is not installed, `PluginError`
        when the plugin fails or makes something else than it registered, and the plugin's own refusal of `settings`.
        """
        if isinstance(backend, MediaBackend):
            return backend
        spec = self.spec(backend)
        plugin = self._owner(spec)
        made = _make(plugin, "backend", spec, MediaBackend, dict(settings or {}), clock or SystemClock())
        return validate.check_backend(plugin, spec, made)

    def create_bus(self, bus: str | MessageBus, settings: Mapping[str, Any] | None = None) -> MessageBus:
        """The message bus of that name or URL, made with its settings, not opened; a `MessageBus` is passed through.

        "local" and "redis", redis://, rediss:// and unix:// come with utd-core. Raises `InvalidInput` where nobody
        offers such a bus, `UTDStreamException` (missing_extra) when a library is not installed, `PluginError` when the
        plugin fails, and the bus's own refusal of its URL or settings.
        """
        if isinstance(bus, MessageBus):
            return bus
        spec, url = bus_rules.choose(bus, self.buses.values())
        infos = (self._builtin, *self._plugins.values())
        plugin = next(info.name for info in infos if spec in info.buses)
        made = _make(plugin, "bus", spec, MessageBus, url, dict(settings or {}))
        return bus_rules.check_bus(plugin, spec, made)

    def checks(self) -> list[tuple[str, Check]]:
        """What each plugin says about this machine, as (plugin, check); a plugin that fails at it is a failed check."""
        answers = [
            (info.name, Check("plugin", ok=False, detail=info.error.message, remedy="fix it, or leave it out"))
            for info in self.plugins
            if info.error is not None
        ]
        for plugin, found in self._call("utd_doctor"):
            try:
                if isinstance(found, PluginError):
                    raise found
                answers += [(plugin, check) for check in validate.check_doctor(plugin, found)]
            except PluginError as error:
                answers.append((plugin, Check("utd_doctor", ok=False, detail=error.message, remedy="tell its author")))
        return answers

    def contract_harness(self, name: str) -> Harness:
        """How the contract suite opens the backend `name`: a plugin's own way, or `create({}, clock)` and `aclose`.

        Raises `BackendNotFound`, and `PluginError` when the backend's plugin fails.
        """
        owner = self._owner(self.spec(name))
        for plugin, found in self._call("utd_contract_harness", name=name):
            if isinstance(found, PluginError):
                if plugin == owner:
                    raise found
            elif found is not None:
                if not callable(found):
                    raise validate.invalid(
                        plugin, f"hook 'utd_contract_harness' must return a callable, it returned {found!r}"
                    )
                harness: Harness = found
                return harness
        return self._default_harness(name)

    def _default_harness(self, name: str) -> Harness:
        @asynccontextmanager
        async def harness(clock: Clock) -> AsyncIterator[MediaBackend]:
            backend = self.create_backend(name, {}, clock)
            try:
                yield backend
            finally:
                await backend.aclose()

        return harness

    def _load(self, entry: importlib.metadata.EntryPoint) -> None:
        distribution = entry.dist.name if entry.dist is not None else ""
        version = entry.dist.version if entry.dist is not None else ""
        try:
            try:
                module = entry.load()
            except Exception as error:
                raise _failed(entry.name, f"importing {entry.value}", error) from error
            self._register(module, entry.name, distribution, version)
        except PluginError as error:
            known = self._plugins.get(entry.name, PluginInfo(entry.name, distribution, version))
            self._plugins[entry.name] = replace(known, error=error)

    def _register(self, plugin: object, name: str, distribution: str, version: str) -> PluginInfo:
        if name in self._plugins:
            raise validate.invalid(
                name, f"a plugin of this name is registered already (from {self._plugins[name].distribution!r})"
            )
        validate.check_plugin(name, plugin)
        self._hooks.register(plugin, name)
        try:
            backends: tuple[BackendSpec, ...] = ()
            for owner, found in self._call("utd_media_backends", only=name):
                if isinstance(found, PluginError):
                    raise found
                # A plugin's own name is kept for its backend, whoever is loaded first.
                taken = {plugin: plugin for plugin in self._installed if plugin != name}
                taken |= {spec.name: info.name for info in self._plugins.values() for spec in info.backends}
                backends += validate.check_backends(owner, found, taken)
            buses: tuple[BusSpec, ...] = ()
            for owner, found in self._call("utd_message_buses", only=name):
                if isinstance(found, PluginError):
                    raise found
                buses += bus_rules.check_buses(owner, found, self._taken_by_buses())
        except PluginError:
            self._hooks.unregister(name=name)
            raise
        info = self._plugins[name] = PluginInfo(name, distribution, version, backends, buses)
        return info

    def _taken_by_buses(self) -> dict[str, str]:
        taken: dict[str, str] = {}
        for info in (self._builtin, *self._plugins.values()):
            for spec in info.buses:
                taken |= dict.fromkeys((spec.name, *(f"{scheme}://" for scheme in spec.schemes)), info.name)
        return taken

    def _call(self, hook: str, *, only: str | None = None, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """What each plugin's own implementation returns; a `PluginError` in the place of what it raises."""
        caller: pluggy.HookCaller = getattr(self._hooks.hook, hook)
        for implementation in reversed(caller.get_hookimpls()):
            plugin = implementation.plugin_name
            if only not in (None, plugin):
                continue
            try:
                answer = _run(implementation, hook, arguments)
            except PluginError as error:
                answer = error
            yield plugin, answer

    def _owner(self, spec: BackendSpec) -> str:
        return next(info.name for info in self._plugins.values() if spec in info.backends)

    def _not_found(self, name: str) -> BackendNotFound:
        installed = sorted(self.backends)
        have = f"installed: {', '.join(installed)}" if installed else "there is none here"
        close = difflib.get_close_matches(name, installed, n=1)
        if name in self._left_out:
            hint = f"the plugin {name!r} is installed, but {ALLOW_LIST} leaves it out; add it there"
        elif name in self._plugins and self._plugins[name].error is None:
            plugin = self._plugins[name]
            hint = f"{plugin.distribution or 'the plugin'} {plugin.version} is installed and offers no backend yet"
        elif close:
            hint = f"did you mean {close[0]!r}?"
        else:
            hint = _how_to_install(name)
        broken = [info.name for info in self._plugins.values() if info.error is not None]
        more = f"; plugins kept out by an error: {', '.join(broken)}, see `utd plugins`" if broken else ""
        return BackendNotFound(
            f"no media backend is called {name!r}; {have}; {hint}{more}", details={"name": name, "installed": installed}
        )


@cache
def default_manager() -> PluginManager:
    """The manager of this process; `UTD_PLUGINS` is read when it is first asked for."""
    return PluginManager()


def allowed_by_environment() -> frozenset[str] | None:
    """The names in `UTD_PLUGINS`; None when it is not set."""
    value = os.environ.get(ALLOW_LIST)
    return None if value is None else frozenset(name.strip() for name in value.split(",") if name.strip())


def _make(plugin: str, what: str, spec: BackendSpec | BusSpec, base: type[object], *arguments: Any) -> object:
    """What `create` of a spec makes, which is to derive from `base`; what it raises is the plugin's error."""
    what = f"{what} {spec.name!r}"
    missing = [module for module in spec.requires if importlib.util.find_spec(module.partition(".")[0]) is None]
    if missing:
        raise UTDStreamException(
            f"{what} needs {', '.join(missing)}; {_how_to_install(spec.name, spec.distribution)}",
            code=ErrorCode.MISSING_EXTRA,
        )
    create: Callable[..., object] = spec.create
    try:
        return create(*arguments)
    except UTDStreamException:
        raise
    except Exception as error:
        abstract = validate.abstract_methods_of(error) if isinstance(error, TypeError) else None
        if abstract is not None:
            raise validate.invalid(plugin, f"{what}: {abstract} of {base.__name__}") from error
        raise _failed(plugin, f"create of {what}", error) from error


def _how_to_install(name: str, distribution: str = "") -> str:
    distribution = distribution or _KNOWN.get(name, "")
    if distribution:
        return f"pip install {distribution}"
    return f"install the distribution that provides it (an entry point of the group {hookspecs.PROJECT!r})"


def _run(implementation: pluggy.HookImpl, hook: str, arguments: Mapping[str, Any]) -> Any:
    try:
        return implementation.function(*(arguments[name] for name in implementation.argnames))
    except Exception as error:
        raise _failed(implementation.plugin_name, f"hook {hook!r}", error) from error


def _failed(plugin: str, what: str, error: Exception) -> PluginError:
    return PluginError(
        f"plugin {plugin!r}: {what} raised {type(error).__name__}: {error}",
        code=ErrorCode.PLUGIN_FAILED,
        details={"plugin": plugin},
    )
