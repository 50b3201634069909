"""Small asyncio building blocks that every layer above the model shares."""

from .clock import Clock, SystemClock
from .queue import BoundedQueue, Overflow, QueueStatistics
from .scope import TaskScope

__all__ = ["BoundedQueue", "Clock", "Overflow", "QueueStatistics", "SystemClock", "TaskScope"]
