"""The engine: it decides commands by the model, keeps what they change, and makes the media backend match."""

from .engine import Engine
from .settings import EngineSettings
from .statistics import EngineStatistics

__all__ = ["Engine", "EngineSettings", "EngineStatistics"]
