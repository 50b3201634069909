"""Event fan-out and history between the engine and whoever listens."""

from .base import Broker, Recover, Subscription
from .local import LocalBroker

__all__ = ["Broker", "LocalBroker", "Recover", "Subscription"]
