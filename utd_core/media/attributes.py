"""What a participant is described with: pairs of strings that nobody changes in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class Attributes(Mapping[str, str]):
    """A mapping that is a value: it equals any mapping with the same pairs, can be hashed and sent elsewhere."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Mapping[str, str] | None = None) -> None:
        self._pairs = dict(pairs or {})

    def merged(self, changes: Mapping[str, str]) -> Attributes:
        """These with `changes`, of which an empty value removes its attribute."""
        return Attributes({key: value for key, value in {**self._pairs, **changes}.items() if value})

    def __getitem__(self, key: str) -> str:
        return self._pairs[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __hash__(self) -> int:
        return hash(frozenset(self._pairs.items()))

    def __reduce__(self) -> tuple[type[Attributes], tuple[dict[str, str]]]:
        return Attributes, (self._pairs,)

    def __repr__(self) -> str:
        return repr(self._pairs)


NO_ATTRIBUTES = Attributes()
