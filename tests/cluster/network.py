"""Networks of one's own: hosts that are joined by cables, and nothing else. A cable that is pulled is a partition.

A host is a network namespace, a cable a pair of virtual interfaces with an address at each end. The kernel is asked
directly (netlink, `unshare`, `setns`), so no program and no library is needed. The process needs the right to do so:
`namespace.py` starts it with that. Linux only.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

_CLONE_NEWNET = 0x4000_0000
_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library. Raises `OSError`."""
    result: int = getattr(_libc, name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


class Host:
    """A network of its own, until `close()`. Whatever is started `inside()` it stays in it.

    `Host.here()` is the one that this thread is in.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def here(cls) -> Host:
        return cls(os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def new(cls) -> Host:
        """One with nothing in it but its loopback."""
        before = cls.here()
        try:
            call("unshare", _CLONE_NEWNET)
            made = cls.here()
            Interface("lo").set_up(True)
        finally:
            call("setns", before.descriptor, _CLONE_NEWNET)
            before.close()
        return made

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is in this network meanwhile."""
        before = Host.here()
        call("setns", self.descriptor, _CLONE_NEWNET)
        try:
            yield
        finally:
            call("setns", before.descriptor, _CLONE_NEWNET)
            before.close()

    def close(self) -> None:
        os.close(self.descriptor)


class Cable:
    """Joins two hosts. `addresses`: of the ends, the first one's and the other one's."""

    _numbers = count(1)

    def __init__(self, one: Host, other: Host) -> None:
        number = next(self._numbers)
        network = f"10.{number // 250}.{number % 250}"
        self.addresses = (f"{network}.1", f"{network}.2")
        self._ends = ((one, Interface(f"near{number}")), (other, Interface(f"far{number}")))
        (_, near), (_, far) = self._ends
        with one.inside():
            near.create(far, other)
        for (host, interface), address in zip(self._ends, self.addresses, strict=True):
            with host.inside():
                interface.give(address)
                interface.set_up(True)

    def pull(self) -> None:
        """Nothing gets through any more, and nobody is told: what is sent is lost."""
        host, interface = self._ends[1]
        with host.inside():
            interface.set_up(False)

    def plug(self) -> None:
        host, interface = self._ends[1]
        with host.inside():
            interface.set_up(True)


class Interface:
    """A network interface by name, in the network of the thread that asks. All methods raise `OSError`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create(self, peer: Interface, there: Host) -> None:
        """Make it and its peer, which is in another network."""
        other = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + _text(_IFLA_IFNAME, peer.name)
        other += _attribute(_IFLA_NET_NS_FD, struct.pack("=I", there.descriptor))
        about = _text(_IFLA_INFO_KIND, "veth") + _attribute(_IFLA_INFO_DATA, _attribute(_VETH_INFO_PEER, other))
        message = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + _text(_IFLA_IFNAME, self.name)
        _ask(_RTM_NEWLINK, _CREATE, message + _attribute(_IFLA_LINKINFO, about))

    def give(self, address: str, bits: int = 30) -> None:
        packed = socket.inet_aton(address)
        message = struct.pack("=BBBBI", socket.AF_INET, bits, 0, 0, socket.if_nametoindex(self.name))
        _ask(_RTM_NEWADDR, _CREATE, message + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed))

    def set_up(self, up: bool) -> None:
        index = socket.if_nametoindex(self.name)
        _ask(_RTM_NEWLINK, 0, struct.pack("=BxHiII", 0, 0, index, int(up) * _IFF_UP, _IFF_UP))


# The words of linux/netlink.h, rtnetlink.h, if_link.h and veth.h.
_RTM_NEWLINK, _RTM_NEWADDR, _NLMSG_ERROR = 16, 20, 2
_REQUEST, _ACKNOWLEDGE, _CREATE = 0x1, 0x4, 0x600
_IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 3, 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFF_UP = 1


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _ask(kind: int, flags: int, message: bytes) -> None:
    """Ask the kernel for something, and wait until it says that it is done. Raises `OSError`."""
    header = struct.pack("=IHHII", 16 + len(message), kind, _REQUEST | _ACKNOWLEDGE | flags, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(header + message)
        answer = kernel.recv(65_536)
    _, said, _, _, _, error = struct.unpack_from("=IHHIIi", answer)
    if said == _NLMSG_ERROR and error:
        raise OSError(-error, os.strerror(-error))
