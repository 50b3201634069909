"""A LiveKit server of our own: on loopback, on free ports, with everything it writes in a folder that goes with it."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from utd_core.errors import Unavailable

from .binary import ensure_binary

READY_WITHIN = 20.0
"""Seconds; it takes less than one where the machine is idle."""
_LOOK_EVERY = 0.02
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Whatever proxy the environment names: it does not reach this machine's loopback."""
_ATTEMPTS = 3
"""Somebody else may take a port between choosing it and listening on it."""
_LONGEST_NAME = 1_024
"""Bytes of a room's name or an identity: 193 characters of any script."""


class LocalServer:
    """Started with `start` and ended with `stop`, or by `with`; these block, so on an event loop run them in a thread.

    `webhooks`: the port of loopback that is told what happens, by the path at which an engine serves; it may begin to
    listen later. `redis`: host and port of the Redis that servers which share their keys are one cluster by. `restart`
    keeps ports, keys and rooms' names, and loses everything else, as a crash does.
    """

    def __init__(self, binary: Path | None = None, *, redis: str | None = None) -> None:
        self.api_key = "local"
        self.api_secret = secrets.token_urlsafe(32)
        self.port, self.media_port, self.webhooks = free_port(), free_port(socket.SOCK_DGRAM), free_port()
        self._binary = binary
        self._redis = redis
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.RLock()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, Any]:
        """What the backend's settings must say to use this server and hear from it."""
        return {
            "url": self.url,
            "api_key": self.api_key,
            "api_secret": self.api_secret,
            "webhooks": f"127.0.0.1:{self.webhooks}",
        }

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    @property
    def log(self) -> Path | None:
        """What it says, as long as it is not stopped."""
        return None if self._folder is None else self._folder / "log"

    def start(self) -> None:
        """Return when it answers. Raises `Unavailable` with its last words when it does not."""
        with self._turn:
            self._start()

    def _start(self) -> None:
        if self.pid is not None:
            return
        self._binary = self._binary or ensure_binary()
        self._folder = self._folder or Path(tempfile.mkdtemp(prefix="utd-livekit-"))
        for attempt in range(_ATTEMPTS):
            if self._begin():
                return
            self.kill()
            if attempt + 1 < _ATTEMPTS:
                self.port, self.media_port = free_port(), free_port(socket.SOCK_DGRAM)
        words = self._last_words()
        self.stop()
        raise Unavailable(f"the LiveKit server {self._binary} did not start: {words}")

    def restart(self) -> None:
        """End it without a word, as a crash does, and start it again."""
        self.kill()
        self.start()

    def kill(self) -> None:
        """End it without a word; one that is being started, as soon as it answers. Idempotent."""
        with self._turn:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None

    def stop(self) -> None:
        """End it, and delete what it wrote. Idempotent."""
        with self._turn:
            # Without asking: it has nothing to save, and would wait for everybody who is connected.
            self.kill()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _begin(self) -> bool:
        """Start the process; whether it answers in time."""
        assert self._folder is not None
        assert self._binary is not None
        config = self._folder / "livekit.yaml"
        config.write_text(json.dumps(self._configuration()), encoding="utf-8")  # JSON is YAML
        config.chmod(0o600)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "--config", config], cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers():
                return True
            time.sleep(_LOOK_EVERY)
        return False

    def _answers(self) -> bool:
        try:
            with _DIRECTLY.open(f"http://127.0.0.1:{self.port}/", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _last_words(self) -> str:
        log = self.log
        lines = [] if log is None or not log.exists() else log.read_text(errors="replace").strip().splitlines()
        return lines[-1][-500:] if lines else "it said nothing"

    def _configuration(self) -> dict[str, Any]:
        configuration: dict[str, Any] = {
            "port": self.port,
            "bind_addresses": ["127.0.0.1"],
            "keys": {self.api_key: self.api_secret},
            "rtc": {
                "node_ip": "127.0.0.1",
                "use_external_ip": False,
                "udp_port": self.media_port,
                # It answers, and looks for no way of its own to whoever comes by another (`Line`).
                "use_ice_lite": True,
                # Unset it would listen on 7881 of every interface, whatever `bind_addresses` says.
                "tcp_port": 0,
                "enable_loopback_candidate": True,
                "ips": {"includes": ["127.0.0.0/8"]},
                # Without any, clients are handed public ones. Never the media port: libwebrtc takes whatever comes
                # from a STUN server's address for its answers.
                "stun_servers": ["127.0.0.1:3478"],
            },
            "room": {
                "auto_create": False,
                "enable_remote_unmute": True,
            },
            # The quietest that counts as speech, in dB under full scale; with the usual 35 soft voices do not.
            "audio": {"active_level": 45},
            "limit": {
                "max_room_name_length": _LONGEST_NAME,
                "max_participant_identity_length": _LONGEST_NAME,
                "max_participant_name_length": _LONGEST_NAME,
            },
            "webhook": {"api_key": self.api_key, "urls": [f"http://127.0.0.1:{self.webhooks}/webhooks/media"]},
            "logging": {"level": "warn", "pion_level": "error"},
        }
        if self._redis is not None:
            configuration["redis"] = {"address": self._redis}
        return configuration


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of loopback that nobody uses at the moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
