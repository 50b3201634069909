"""How events reach those who follow a channel."""

from __future__ import annotations

from .base import Broker, BrokerStatistics, Recover, Subscription
from .local import LocalBroker

__all__ = [
    "Broker",
    "BrokerStatistics",
    "LocalBroker",
    "Recover",
    "Subscription",
]
