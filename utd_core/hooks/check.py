"""One line of `utd doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """Something that works on this machine, or does not.

    `name`: what was looked at. `detail`: what was found. `remedy`: what to do, when `ok` is False.
    """

    name: str
    ok: bool
    detail: str = ""
    remedy: str = ""
