"""Small asyncio building blocks that every layer above the model shares."""

from .clock import Clock, SystemClock
from .closing import Closeable
from .deadline import within
from .queue import BoundedQueue, Overflow, QueueStatistics
from .scope import TaskScope

__all__ = ["BoundedQueue", "Clock", "Closeable", "Overflow", "QueueStatistics", "SystemClock", "TaskScope", "within"]
