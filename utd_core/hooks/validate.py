"""A plugin is checked when it is registered, and its backend when it is made, in the plugin author's words.

Every function here raises `PluginError` (`plugin_invalid`) that names the plugin, the hook, what is expected
and what was found.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pluggy

from ..errors import ErrorCode, PluginError
from ..media.backend import BackendSpec, MediaBackend
from ..media.capabilities import Capabilities
from ..media.faults import Fault
from . import spec as hookspecs
from .check import Check

PREFIX = "utd_"

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
"""Of a backend or a bus."""


@dataclass(frozen=True, slots=True)
class HookSpec:
    """A hook as it is declared in `utd_core.hooks.spec`. `signature`: its source form."""

    name: str
    arguments: tuple[str, ...]
    signature: str


def _declared() -> Iterator[HookSpec]:
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction):
        if hasattr(function, f"{hookspecs.PROJECT}_spec"):
            signature = inspect.signature(function)
            yield HookSpec(name, tuple(signature.parameters), f"{name}{signature}".replace("'", ""))


HOOKS: Mapping[str, HookSpec] = {hook.name: hook for hook in _declared()}
"""Every hook by name."""


def invalid(plugin: str, problem: str, **details: Any) -> PluginError:
    """The error for a mistake in a plugin."""
    return PluginError(
        f"plugin {plugin!r}: {problem}", code=ErrorCode.PLUGIN_INVALID, details={"plugin": plugin, **details}
    )


def check_plugin(plugin: str, module: object) -> None:
    """Check the hooks of a plugin before it is registered."""
    if inspect.isclass(module):
        raise invalid(
            plugin, f"the class {module.__qualname__} was registered; register an instance of it, or a module"
        )
    for attribute, function in _functions(module):
        options = getattr(function, f"{hookspecs.PROJECT}_impl", None)
        if options is None:
            _check_unmarked(plugin, module, attribute, function)
            continue
        name = options.get("specname") or attribute
        if name not in HOOKS and options.get("optionalhook"):
            continue
        if name not in HOOKS:
            raise invalid(plugin, f"hook {name!r} does not exist; {_did_you_mean(name)}", hook=name)
        _check_signature(plugin, HOOKS[name], function)
        if options.get("wrapper") or options.get("hookwrapper"):
            raise invalid(
                plugin,
                f"hook {name!r} is a wrapper; each plugin is called on its own, so none wraps another",
                hook=name,
            )
    _check_with_pluggy(plugin, module)


def check_backends(plugin: str, found: object, taken: Mapping[str, str]) -> tuple[BackendSpec, ...]:
    """Check the result of `utd_media_backends`. `taken`: backend names of other plugins, with the plugin's name."""
    specs = check_list(plugin, "utd_media_backends", found, BackendSpec)
    seen = dict(taken)
    for number, spec in enumerate(specs):
        where = f"utd_media_backends()[{number}]"
        if not isinstance(spec.name, str) or not NAME.match(spec.name):
            raise invalid(plugin, f"{where}: name must be lower case letters, digits, '_' and '-', got {spec.name!r}")
        where = f"{where}, backend {spec.name!r}"
        if not isinstance(spec.capabilities, Capabilities):
            raise invalid(plugin, f"{where}: capabilities must be Capabilities, got {type_of(spec.capabilities)}")
        if not callable(spec.create):
            raise invalid(
                plugin,
                f"{where}: create must be a function (settings, clock) -> MediaBackend, got {type_of(spec.create)}",
            )
        if not takes(spec.create, {}, None):
            raise invalid(
                plugin, f"{where}: create must take (settings, clock), found create{inspect.signature(spec.create)}"
            )
        if not isinstance(spec.faults, Collection) or isinstance(spec.faults, str):
            raise invalid(plugin, f"{where}: faults must be a frozenset of Fault, got {spec.faults!r}")
        if strangers := [fault for fault in spec.faults if not isinstance(fault, Fault)]:
            raise invalid(plugin, f"{where}: faults must hold utd_core.media.faults.Fault, got {strangers[0]!r}")
        if not isinstance(spec.requires, tuple | list) or not all(isinstance(module, str) for module in spec.requires):
            raise invalid(plugin, f"{where}: requires must be a tuple of module names, got {spec.requires!r}")
        if spec.name in seen:
            other = seen[spec.name]
            by = "twice by itself" if other == plugin else f"by plugin {other!r} already"
            raise invalid(plugin, f"backend name {spec.name!r} is registered {by}; choose another name", other=other)
        seen[spec.name] = plugin
    return specs


def check_list(plugin: str, hook: str, found: object, kind: type[Any]) -> tuple[Any, ...]:
    """Check that a hook returned a list of `kind`."""
    if not isinstance(found, list | tuple):
        raise invalid(
            plugin, f"hook {hook!r} must return a list of {kind.__name__}, it returned {type_of(found)}", hook=hook
        )
    for element in found:
        if not isinstance(element, kind):
            raise invalid(
                plugin, f"hook {hook!r} must return a list of {kind.__name__}, it holds {type_of(element)}", hook=hook
            )
    return tuple(found)


def check_doctor(plugin: str, found: object) -> tuple[Check, ...]:
    """Check the result of `utd_doctor`."""
    return check_list(plugin, "utd_doctor", found, Check)


def check_backend(plugin: str, spec: BackendSpec, backend: object) -> MediaBackend:
    """Check what `spec.create` returned."""
    where = f"backend {spec.name!r}"
    if not isinstance(backend, MediaBackend):
        lacking = sorted(name for name in MediaBackend.__abstractmethods__ if not hasattr(backend, name))
        lacks = f"; it lacks {', '.join(lacking)}" if lacking else ""
        raise invalid(
            plugin, f"{where}: create returned {type_of(backend)}, which does not derive from MediaBackend{lacks}"
        )
    for attribute, registered in (("name", spec.name), ("capabilities", spec.capabilities), ("faults", spec.faults)):
        actual = getattr(backend, attribute, None)
        if actual != registered:
            difference = _difference(registered, actual)
            raise invalid(
                plugin, f"{where}: {type(backend).__name__}.{attribute} is not what the BackendSpec says: {difference}"
            )
    return backend


def abstract_methods_of(error: TypeError) -> str | None:
    """The missing methods, when this is Python's refusal to make an object of an abstract class."""
    found = re.match(
        r"Can't instantiate abstract class (\w+) with(?:out an implementation for)? abstract methods? (.*)", str(error)
    )
    # Since Python 3.12 the names stand in quotation marks.
    return f"class {found[1]} lacks the method(s) {found[2].replace(chr(39), '')}" if found else None


def _functions(module: object) -> Iterator[tuple[str, Callable[..., Any]]]:
    for attribute in dir(module):
        # Static: looking for hooks must not run a plugin's properties.
        static = inspect.getattr_static(module, attribute, None)
        if inspect.isroutine(static) or isinstance(static, staticmethod | classmethod):
            function = getattr(module, attribute)
            if inspect.isroutine(function):
                yield attribute, function


def _check_unmarked(plugin: str, module: object, attribute: str, function: Callable[..., Any]) -> None:
    own = not inspect.ismodule(module) or getattr(function, "__module__", None) == module.__name__
    if own and attribute.startswith(PREFIX):
        hint = "mark it with @utd_core.hooks.hookimpl" if attribute in HOOKS else _did_you_mean(attribute)
        raise invalid(plugin, f"{attribute} begins with {PREFIX!r} and is not a marked hook; {hint}", hook=attribute)


def _check_signature(plugin: str, hook: HookSpec, function: Callable[..., Any]) -> None:
    found = [name for name in inspect.signature(function).parameters if name != "self"]
    strangers = [name for name in found if name not in hook.arguments]
    if inspect.iscoroutinefunction(function):
        raise invalid(plugin, f"hook {hook.name!r} must be a plain function, found 'async def'", hook=hook.name)
    if strangers:
        raise invalid(
            plugin,
            f"hook {hook.name!r} has no argument {strangers[0]!r}; expected {hook.signature}, "
            f"found {hook.name}{inspect.signature(function)}",
            hook=hook.name,
        )


def _check_with_pluggy(plugin: str, module: object) -> None:
    """pluggy's own judgement, on a manager of its own, so that a refused plugin leaves no trace in the real one."""
    trial = pluggy.PluginManager(hookspecs.PROJECT)
    trial.add_hookspecs(hookspecs)
    try:
        trial.register(module, plugin)
        trial.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        raise invalid(plugin, " ".join(str(error).split())) from error


def _did_you_mean(name: str) -> str:
    close = difflib.get_close_matches(name, HOOKS, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"the hooks are {', '.join(sorted(HOOKS))}"


def takes(function: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
    """Whether a function can be called so, as far as that can be told."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return True
    try:
        signature.bind(*arguments, **named)
    except TypeError:
        return False
    return True


def _difference(registered: object, actual: object) -> str:
    if isinstance(registered, Capabilities) and isinstance(actual, Capabilities):
        ours, theirs = registered.as_dict(), actual.as_dict()
        return "; ".join(
            f"{name} is {theirs[name]!r}, registered {ours[name]!r}" for name in ours if ours[name] != theirs[name]
        )
    if isinstance(registered, frozenset) and isinstance(actual, frozenset):
        return f"they differ in {', '.join(sorted(map(str, registered ^ actual)))}"
    return f"{actual!r}, registered {registered!r}"


def type_of(thing: object) -> str:
    """What a value is called in these errors."""
    return "None" if thing is None else type(thing).__name__
