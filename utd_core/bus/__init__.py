"""How the nodes of a server talk to each other: messages by topic, and questions that are answered."""

from __future__ import annotations

from .answering import Answering, Handler
from .audience import Audience, Hear, Interrupted, Listener
from .base import BusSpec, BusStatistics, MessageBus
from .local import LocalMessages
from .questions import Questions

__all__ = [
    "Answering",
    "Audience",
    "BusSpec",
    "BusStatistics",
    "Handler",
    "Hear",
    "Interrupted",
    "Listener",
    "LocalMessages",
    "MessageBus",
    "Questions",
]
