"""What the server logs: one JSON object a line for machines, plain lines for a terminal.

- A record has the id of the request that it was made for, wherever in the server that was.
- A thread of its own writes, from a bounded queue: nobody waits for whoever reads the log. What does not fit is dropped
  and counted.
- Nothing logs a credential on purpose. As a last resort, what looks like a user token, a secret that was made here or
  the password of a URL, and each secret that the server was started with is blanked, wherever it turns up: a library's
  error may quote it.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from copy import copy
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, TextIO

from .exchange import REQUEST_ID

LogFormat = Literal["auto", "json", "text"]
LogLevel = Literal["debug", "info", "warning", "error"]

BLANK = "(secret)"

_CAPACITY = 10_000
_PATIENCE = 2.0
"""Seconds that closing waits for the last lines to be written."""
_SHORTEST = 6
"""Characters of a secret that is looked for: shorter ones stand in too many words."""
_USER_TOKEN = r"eyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*"
_MADE = r"\b[0-9a-f]{64}\b|(?<![\w-])[\w-]{43}=(?!\w)"
"""As secrets of projects, and the keys that encrypt them, are made: nobody can know all of them."""
_PASSWORD = r"(?<=://)[^\s/@]*:[^\s/@]*(?=@)"
_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
"""What every record has; whatever else there is was given by the one who logged it."""


class Redactor:
    """Blanks what must not be read. `secrets`: in plain text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: one may begin like another.
        known = sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)
        self._pattern = re.compile("|".join([*map(re.escape, known), _USER_TOKEN, _MADE, _PASSWORD]))

    def text(self, text: str) -> str:
        return self._pattern.sub(BLANK, text)

    def value(self, value: Any) -> Any:
        """The same with every string in something that is to be JSON."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {str(key): self.value(each) for key, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(each) for each in value]
        return value if value is None or isinstance(value, bool | int | float) else self.text(str(value))


class JsonFormatter(logging.Formatter):
    """`time` (ISO 8601, UTC), `level`, `logger`, `message`, `request_id`, `error`, and what was logged with it."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{
                name: value for name, value in vars(record).items() if name not in _STANDARD and value not in ("", None)
            },
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(self._redactor.value(line), ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Time of day, level, message; where it was logged for a request that it does not name, the request's id.

    A message is one line, and says nothing to the terminal: what somebody sent, and a library quotes, forges no other.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-7s %(message)s", "%H:%M:%S")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.text(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the library's name
        line = self._redactor.text(super().formatMessage(record)).translate(_CONTROLS)
        request_id = getattr(record, "request_id", "")
        return line if not request_id or request_id in line else f"{line} [{request_id}]"


class Logs(logging.Handler):
    """Takes what the whole process logs, as long as it is entered. `dropped`: records that did not fit."""

    def __init__(
        self,
        kind: LogFormat = "auto",
        level: LogLevel = "info",
        *,
        secrets: Iterable[str] = (),
        stream: TextIO | None = None,
        capacity: int = _CAPACITY,
    ) -> None:
        super().__init__()
        self.dropped = 0
        self._stream = stream or sys.stderr
        redactor = Redactor(secrets)
        is_plain = kind == "text" or (kind == "auto" and self._stream.isatty())
        self.setFormatter(TextFormatter(redactor) if is_plain else JsonFormatter(redactor))
        self._own_level = level.upper()
        # None asks the thread to end, after everything that came before.
        self._records: queue.Queue[logging.LogRecord | None] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._write, name="utd logs", daemon=True)
        self._before: list[tuple[logging.Logger, int]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        for name, level in (("", "WARNING"), ("utd_core", self._own_level), ("uvicorn", "WARNING")):
            logger = logging.getLogger(name)
            self._before.append((logger, logger.level))
            logger.setLevel(level)
        logging.getLogger().addHandler(self)
        logging.captureWarnings(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.captureWarnings(False)
        logging.getLogger().removeHandler(self)
        while self._before:
            logger, level = self._before.pop()
            logger.setLevel(level)
        self.close()

    def close(self) -> None:
        """Write what is held, for as long as that takes but two seconds. Idempotent."""
        super().close()
        if not self._thread.is_alive():
            return
        try:
            self._records.put(None, timeout=_PATIENCE)
        except queue.Full:
            return
        self._thread.join(_PATIENCE)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # A copy: what it was given to say may have changed by the time it is written, and it has other readers.
            held = copy(record)
            held.msg, held.args = record.getMessage(), None
            if request_id := REQUEST_ID.get():
                vars(held).setdefault("request_id", request_id)
        except Exception:  # noqa: BLE001  # arguments that do not fit their message: the library says so and goes on
            self.handleError(record)
            return
        try:
            self._records.put_nowait(held)
        except queue.Full:
            self.dropped += 1

    def _write(self) -> None:
        while (record := self._records.get()) is not None:
            line = self.format(record)
            try:
                self._stream.write(f"{line}\n")
                if self._records.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                # Nobody reads it any more.
                self.dropped += 1
