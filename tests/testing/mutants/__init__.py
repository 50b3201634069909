"""Deliberately broken backends: a contract test that none of them fails proves nothing."""

from __future__ import annotations

from . import connecting, controlling, declaring, playing, telling
from .codec import LIKE_A_NETWORK, PLAIN
from .covers import MUTANTS

__all__ = ["LIKE_A_NETWORK", "MUTANTS", "PLAIN", "connecting", "controlling", "declaring", "playing", "telling"]
