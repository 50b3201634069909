"""`requirements.lock` pins everything that the workspace asks for, and names no machine."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .conftest import ROOT

PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?: ; .+)?$")
LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
MANIFESTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]


def wanted() -> Iterator[str]:
    """Every requirement of every manifest: dependencies, extras, groups."""
    for manifest in MANIFESTS:
        content: dict[str, Any] = tomllib.loads(manifest.read_text(encoding="utf-8"))
        yield from content["project"]["dependencies"]
        for group in content["project"].get("optional-dependencies", {}).values():
            yield from group
        for group in content.get("dependency-groups", {}).values():
            yield from (each for each in group if isinstance(each, str))


def test_every_line_is_a_pin() -> None:
    assert [line for line in LINES if PIN.match(line) is None] == []


def test_every_requirement_is_pinned_to_a_version_it_allows() -> None:
    pins = {}
    for line in LINES:
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate():
            pins[canonicalize_name(pin.name)] = next(iter(pin.specifier)).version
    requirements = [Requirement(each) for each in wanted()]
    own = {canonicalize_name(tomllib.loads(each.read_text(encoding="utf-8"))["project"]["name"]) for each in MANIFESTS}
    assert len(requirements) > 20
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        if name not in own:
            assert name in pins, f"{name} is not pinned: run `make lock`"
            assert requirement.specifier.contains(pins[name]), f"{requirement}: run `make lock`"
