"""Finds what stands at a path: a tree of segments, in which a name in braces takes any segment.

A word goes before a name: `/seats/leave` is itself, not the seat called "leave". No name is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Found(NamedTuple, Generic[T]):
    """What stands at a path: `template` as it was added, `by_method`, and the segments that names took."""

    template: str
    by_method: dict[str, T]
    values: dict[str, str]


@dataclass(slots=True)
class _Node(Generic[T]):
    words: dict[str, _Node[T]] = field(default_factory=dict)
    any: _Node[T] | None = None
    template: str = ""
    names: tuple[str, ...] = ()
    by_method: dict[str, T] = field(default_factory=dict)


class Routes(Generic[T]):
    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, method: str, template: str, target: T) -> None:
        """Put `target` at a path such as "/rooms/{room}". Raises `ValueError` where something stands already."""
        node, names = self._root, []
        for segment in template.strip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.words.setdefault(segment, _Node())
        if method in node.by_method or (node.by_method and node.template != template):
            raise ValueError(f"{method} {template}: {node.template} stands there already")
        node.template, node.names = template, tuple(names)
        node.by_method[method] = target

    def find(self, segments: Sequence[str]) -> Found[T] | None:
        """What stands at the path of these (decoded) segments, whatever the method."""
        node, taken = self._root, []
        for segment in segments:
            below = node.words.get(segment)
            if below is None:
                if node.any is None or not segment:
                    return None
                below = node.any
                taken.append(segment)
            node = below
        return (
            Found(node.template, node.by_method, dict(zip(node.names, taken, strict=True))) if node.template else None
        )
