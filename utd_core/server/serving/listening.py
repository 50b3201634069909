"""Where a server listens."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ...errors import InvalidInput

BACKLOG = 65_535
"""Connections that may wait to be taken in; the system makes it less (`net.core.somaxconn`). When thousands come back
at once and there is no room for all, the system lets the rest, and everybody else, try again after seconds."""


@contextmanager
def listening(host: str, port: int, path: Path | None = None) -> Iterator[socket.socket]:
    """A bound socket: a port of an address (0 for a free one), or a Unix socket at a path. Raises `InvalidInput` where
    that is not possible."""
    try:
        bound = _bind(host, port) if path is None else _bind_unix(path)
    except OSError as error:
        where = path or f"{host}:{port}"
        raise InvalidInput(f"cannot listen on {where}: {error.strerror or error}; choose another place") from None
    with closing(bound):
        yield bound
    if path is not None:
        path.unlink(missing_ok=True)


def address_of(bound: socket.socket) -> str:
    """Where a listening socket is reached, for people: an URL, or the path of a Unix socket."""
    if bound.family == socket.AF_UNIX:
        return str(bound.getsockname())
    host, port = bound.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def _bind(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family, backlog=BACKLOG)


def _bind_unix(path: Path) -> socket.socket:
    if path.is_socket():
        _remove_abandoned(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        path.chmod(0o660)
        bound.listen(BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound


def _remove_abandoned(path: Path) -> None:
    """Make room where a server was killed. Raises `OSError` where one still listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
