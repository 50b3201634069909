"""Real servers begin to answer some time after they were started."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

PAUSE = 0.01


def until_ready(
    process: subprocess.Popen[bytes], is_ready: Callable[[], bool], log: Callable[[], str], *, patience: float
) -> None:
    """Wait until a server answers; fail with its log where it ends first, or takes longer than `patience` (seconds)."""
    until = time.monotonic() + patience
    while not is_ready():
        assert process.poll() is None, log()
        assert time.monotonic() < until, f"the server does not answer:\n{log()}"
        time.sleep(PAUSE)
