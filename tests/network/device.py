"""The network device of a host: packets that are sent there come out here. The calls are those of `netdevice(7)`."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

SET_ADDRESS, SET_MASK, SET_MTU = 0x8916, 0x891C, 0x8922
GET_FLAGS, SET_FLAGS = 0x8913, 0x8914
UP = 0x1
TUN_SET = 0x400454CA
TUN, NO_HEADER = 0x1, 0x1000

MASK = "255.255.0.0"
MTU = 1_500
NAME = "eth0"


class Device:
    """`file`: one IPv4 packet a read or write; it never blocks."""

    def __init__(self, address: str) -> None:
        self.file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.file, TUN_SET, struct.pack("16sH22x", NAME.encode(), TUN | NO_HEADER))
        self.move(address)
        self._set(SET_MTU, NAME, struct.pack("i", MTU))
        self._switch_on(NAME)
        self._switch_on("lo")

    def move(self, address: str) -> None:
        """Leave the address, and what is connected from it, for another one."""
        self._set(SET_ADDRESS, NAME, _inet(address))
        self._set(SET_MASK, NAME, _inet(MASK))

    def _switch_on(self, name: str) -> None:
        (flags,) = struct.unpack_from("H", self._set(GET_FLAGS, name, bytes(2)), 16)
        self._set(SET_FLAGS, name, struct.pack("H", flags | UP))

    def _set(self, call: int, name: str, value: bytes) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            return fcntl.ioctl(any_socket, call, struct.pack("16s24s", name.encode(), value))


def _inet(address: str) -> bytes:
    return struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(address))
