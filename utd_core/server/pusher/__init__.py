"""Events over WebSocket: the Pusher Channels protocol, version 7, for unmodified clients and server libraries."""

from __future__ import annotations

from .codes import CloseCode
from .hub import HubStatistics
from .mount import PusherMount, PusherStatistics
from .settings import PusherSettings
from .stack import UVICORN_OPTIONS

__all__ = ["UVICORN_OPTIONS", "CloseCode", "HubStatistics", "PusherMount", "PusherSettings", "PusherStatistics"]
