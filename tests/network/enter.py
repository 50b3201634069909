"""`python -m tests.network.enter PID PROGRAM ARGUMENT...`: become a program on the host that process PID keeps."""

from __future__ import annotations

import os
import sys

from .namespaces import enter

if __name__ == "__main__":
    enter(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
