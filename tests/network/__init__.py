"""Small networks for tests: hosts in network namespaces of Linux, on a wire that can be told to lose, to delay, to cut.

    with Network("left", "right") as network:
        process = network["left"].start("python", "-m", "http.server")
        network["left"].degrade(loss=0.05, delay=0.1)
        network.cut("left", "right")

What a host reaches is what is on its network: its own loopback and the other hosts. Files, and Unix sockets among them,
are everybody's. The wire is a program: each host's packets come out of a TUN device, and are carried by whoever keeps
the host; so no kernel needs to know how to lose a packet. Root makes the namespaces; whoever is not root makes a user
namespace first, in which they are root. Where neither is allowed, `NotAllowed` says what to allow.

Servers that are only to be cut off from each other, under load, are better on the kernel's own cables:
`tests/cluster/network.py`.
"""

from .hosts import Host, Network, NotAllowed

__all__ = ["Host", "Network", "NotAllowed"]
