"""Writes `docs/reference/contract.md` from the registry: `python -m utd_core.testing.contract.reference PAGE`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from ...media.capabilities import Capabilities
from ...media.faults import Fault
from .behaviours import BEHAVIOURS, Behaviour, Part

_HEAD = """\
# The media contract

<!-- Written by `python -m utd_core.testing.contract.reference docs/reference/contract.md`; do not edit. -->

What every media backend does, {count} behaviours in numbers that do not change. `utd contract NAME` checks them on a
backend, and so does

```text
pytest --pyargs utd_core.testing.contract --utd-backend NAME
```

A backend is excused from a behaviour only by what it declares itself: a [capability](#capabilities) that it denies,
a [fault](#faults) that it does not produce, or a limit of participants. The report names the declaration. What a
capability denies raises `Unsupported` with the name of the backend and of the feature (C108, C109).

Where a backend has a codec, sound is recognised by its pitch and loudness and pictures by their brightness, and counts
have room for a network; only a backend that declares `exact_media` is compared bit for bit.

[How a plugin's own repository runs this](../how-to/test-a-plugin.md).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD.format(count=len(BEHAVIOURS)), *_parts(), *_capabilities(), *_faults()])


def _parts() -> Iterator[str]:
    for part in Part:
        sections = BEHAVIOURS.of(part)
        if not sections:
            continue
        yield f"## {part.heading}\n\n{part.purpose}\n"
        for title, behaviours in sections.items():
            yield f"### {title}\n\n| number | behaviour | needs |\n|---|---|---|"
            yield from (f"| {one.number} | {one.sentence} | {_needs(one)} |" for one in behaviours)
            yield ""


def _needs(behaviour: Behaviour) -> str:
    needs = [f"`{need}`" for need in behaviour.needs] + [f"fault `{fault}`" for fault in behaviour.faults]
    if behaviour.participants > 2:
        needs.append(f"{behaviour.participants} participants")
    return ", ".join(needs)


def _capabilities() -> Iterator[str]:
    yield "## Capabilities\n\nWhat a backend says with each field of `utd_core.media.capabilities.Capabilities`.\n"
    yield "| capability | statement | default |\n|---|---|---|"
    defaults = Capabilities().as_dict()
    yield from (
        f"| `{field.name}` | {Capabilities.doc(field.name)} | {defaults[field.name]} |"
        for field in fields(Capabilities)
    )
    yield ""


def _faults() -> Iterator[str]:
    yield "## Faults\n\nThe names of `utd_core.media.faults.Fault`; a backend lists those that it can really produce.\n"
    yield "| fault | behaviours |\n|---|---|"
    for fault in Fault:
        proven = [one.number for one in BEHAVIOURS if fault in one.faults]
        yield f"| `{fault}` | {', '.join(proven)} |"
    yield ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
