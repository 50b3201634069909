"""What a participant is to the others, in words of the application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .attributes import NO_ATTRIBUTES, Attributes


@dataclass(frozen=True, slots=True)
class Profile:
    """Name, metadata and attributes of one participant."""

    name: str = ""
    metadata: str = ""
    attributes: Attributes = NO_ATTRIBUTES

    def changed(self, name: str | None, metadata: str | None, attributes: Mapping[str, str] | None) -> Profile:
        """With what is not None in its place; of the attributes those that are named, an empty value removes one."""
        return Profile(
            self.name if name is None else name,
            self.metadata if metadata is None else metadata,
            self.attributes.merged(attributes or {}),
        )
