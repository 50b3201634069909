"""LiveKit with engine and client beside LiveKit's SDK alone: how soon one is in and heard, and what media costs.

Both run in this process, in turn, on one real server on loopback, with the same frames at the same pace; twenty rooms in
a process are measured in processes of their own. The raw SDK has a ready ticket with every permission.
"""

from __future__ import annotations



