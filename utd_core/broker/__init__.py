"""How events reach those who follow a channel."""

from __future__ import annotations

from .base import Broker, BrokerStatistics, Recover, Subscription
from .local import LocalBroker
from .messages import Listener, LocalMessages, MessageBus

__all__ = [
    "Broker",
    "BrokerStatistics",
    "Listener",
    "LocalBroker",
    "LocalMessages",
    "MessageBus",
    "Recover",
    "Subscription",
]
