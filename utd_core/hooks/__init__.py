"""Hooks: how a plugin joins, and how the core reaches what is installed.

A plugin is a module (or any object) with functions marked `@hookimpl`, named in the entry-point group `utd`:

    [project.entry-points.utd]
    mybackend = "my_package.plugin"

`UTD_PLUGINS` is the allow-list: names separated by commas; unset allows every installed plugin, empty none.
"""

from __future__ import annotations

from .check import Check
from .manager import PluginInfo, PluginManager, default_manager
from .spec import Harness, hookimpl, hookspec

__all__ = ["Check", "Harness", "PluginInfo", "PluginManager", "default_manager", "hookimpl", "hookspec"]
