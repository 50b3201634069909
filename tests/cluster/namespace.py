"""A process with a network of its own, and the right to make more of them: `python -m tests.cluster.namespace COMMAND`.

With the right to do so (root, CAP_SYS_ADMIN) that is one namespace; without it there is a user namespace around it,
which any user may make where the machine allows it. In that the process is who it was (or nobody, where it was root
without rights: PostgreSQL refuses root), and has no rights outside of it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from pathlib import Path

from .network import Interface, call

ADVICE = """\
This machine allows no network namespaces ({error}), and the tests that partition a network need them. Either run them
as root with CAP_SYS_ADMIN and CAP_NET_ADMIN (a container: --cap-add SYS_ADMIN --cap-add NET_ADMIN, a seccomp profile
that lets unshare and setns through), or allow unprivileged user namespaces:
  sysctl user.max_user_namespaces=1000
  sysctl kernel.unprivileged_userns_clone=1                 (Debian, where it exists)
  sysctl kernel.apparmor_restrict_unprivileged_userns=0     (Ubuntu, where it exists)
"""

_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITIES_3 = 0x2008_0522
_NOBODY = 65_534


def enter() -> None:
    """Have this process, which must have one thread, in a network of its own. Raises `OSError`."""
    try:
        call("unshare", _CLONE_NEWNET)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user or _NOBODY} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group or _NOBODY} {group} 1")
        _keep_rights()
    Interface("lo").set_up(True)


def _keep_rights() -> None:
    """Have the rights of the user namespace over an exec, too, which takes them from everybody but root."""
    wanted = 1 << _CAP_NET_ADMIN | 1 << _CAP_SYS_ADMIN
    header = struct.pack("=Ii", _CAPABILITIES_3, 0)
    call("capset", header, struct.pack("=IIIIII", wanted, wanted, wanted, 0, 0, 0))
    for right in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN):
        none = ctypes.c_ulong(0)
        call("prctl", _PR_CAP_AMBIENT, ctypes.c_ulong(_PR_CAP_AMBIENT_RAISE), ctypes.c_ulong(right), none, none)


if __name__ == "__main__":
    try:
        enter()
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EUSERS, errno.EINVAL, errno.ENOSYS):
            raise
        sys.exit(ADVICE.format(error=error))
    os.execv(sys.argv[1], sys.argv[1:])
