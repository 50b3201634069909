"""Several nodes as one server.

Of all nodes one *holds* a project: it has the lease, and with it the project's engine. The others have the same engine
by asking the holder, over the message bus. What a request or a socket meets is a `Relay`, which has it either way.
"""

from __future__ import annotations

from .cluster import Cluster, ClusterStatistics
from .reach import Reach
from .relay import Relay
from .settings import ClusterSettings
from .tenure import Tenure

__all__ = ["Cluster", "ClusterSettings", "ClusterStatistics", "Reach", "Relay", "Tenure"]
