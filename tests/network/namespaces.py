"""The calls of Linux that a namespace takes; `os` has them from Python 3.12 on only."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

NEW_USER, NEW_NET = 0x10000000, 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library. Raises `OSError`."""
    result: int = getattr(_libc, name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def become_root() -> None:
    """In a new user namespace: be its root, who is the user of before outside of it."""
    uid, gid = os.getuid(), os.getgid()
    call("unshare", NEW_USER)
    me = Path("/proc/self")
    (me / "setgroups").write_text("deny")
    (me / "uid_map").write_text(f"0 {uid} 1")
    (me / "gid_map").write_text(f"0 {gid} 1")


def enter(pid: int) -> None:
    """Have this process enter the namespaces of another one. Raises `OSError`."""
    for kind, flag in (("user", NEW_USER), ("net", NEW_NET)):
        theirs = Path(f"/proc/{pid}/ns/{kind}")
        if theirs.stat().st_ino == Path(f"/proc/self/ns/{kind}").stat().st_ino:
            continue
        with theirs.open() as file:
            call("setns", file.fileno(), flag)
