"""Deliberately broken backends: a contract test that none of them fails proves nothing."""

from __future__ import annotations

from . import connecting, controlling, declaring, describing, playing, signalling, sizing, staging, telling, wavering
from .codec import LIKE_A_NETWORK
from .covers import MUTANTS
from .modest import MODEST

FORGETFUL, _ = MUTANTS["ForgetsExpiry"]

__all__ = [
    "FORGETFUL",
    "LIKE_A_NETWORK",
    "MODEST",
    "MUTANTS",
    "connecting",
    "controlling",
    "declaring",
    "describing",
    "playing",
    "signalling",
    "sizing",
    "staging",
    "telling",
    "wavering",
]
