"""Logging to stderr: one JSON object a line for machines, or text for a terminal.

Nothing that logs ever waits for the reader of stderr. Lines go through a bounded queue to a thread
of their own; when the queue is full, they are dropped and counted.
"""

import faulthandler
import logging
import os
import queue
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Literal

import cv2
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

LogFormat = Literal["auto", "json", "text"]

MAX_LINES = 2000
"""Lines that wait for the reader of stderr."""

MAX_TEXT = 8000
"""Characters of a message or a traceback; the rest is cut."""

_CLOSE_S = 1.0

_STDERR = 2


@contextmanager
def logging_to_stderr(level: str, log_format: LogFormat) -> Iterator[None]:
    """Send the records of all loggers to stderr; `auto` is text on a terminal, JSON elsewhere.

    While the block runs, what C libraries and others write to file descriptor 2 becomes warnings of
    the logger `stderr`.
    """
    if log_format == "auto":
        log_format = "text" if sys.stderr.isatty() else "json"
    with open(os.dup(_STDERR), "wb", buffering=0) as stderr:  # noqa: PTH123 - a descriptor
        handler = QueuedHandler(stderr)
        handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
        logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
        try:
            with _captured_stderr(stderr):
                yield
        finally:
            logging.getLogger().removeHandler(handler)
            handler.close()


def silence_libraries() -> None:
    """Keep OpenCV, tifffile and Pillow from reporting every broken file on stderr.

    For the process of a command: a program that imports this package decides for itself.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    logging.getLogger("tifffile").disabled = True
    # Pillow warns about every unusual tag of a file; a serious one is an error anyway.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def dropped_lines() -> int:
    """How many lines this process has dropped because stderr was not read."""
    return QueuedHandler.dropped


class QueuedHandler(logging.Handler):
    """Writes lines to `stream` in a thread of its own; `emit` never blocks."""

    dropped = 0

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[bytes | None] = queue.Queue(MAX_LINES)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line, or drop it."""
        try:
            line = self.format(record).encode(errors="backslashreplace")
            self._lines.put_nowait(line + b"\n")
        except queue.Full:
            self._drop()
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Write what is queued, unless the reader stands still for a second."""
        with suppress(queue.Full):
            self._lines.put(None, timeout=_CLOSE_S)
            self._thread.join(_CLOSE_S)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line)
            except (OSError, ValueError):  # nobody reads stderr any more
                self._drop()

    def _drop(self) -> None:
        self.acquire()
        QueuedHandler.dropped += 1
        self.release()


class JsonLines(JsonFormatter):
    """A record as one JSON object; `extra={"fields": {...}}` adds members to it."""

    def __init__(self) -> None:
        super().__init__(
            rename_fields={"exc_info": "exception"},
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],  # uvicorn's, for terminals
            json_ensure_ascii=False,
        )

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Fill `log_data`, in the order of the line."""
        log_data["time"] = _timestamp(record.created)
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)
        for name in ("message", "exception"):
            if name in log_data:
                log_data[name] = _cut(log_data[name])
        log_data |= log_data.pop("fields", {})


class TextLines(logging.Formatter):
    """A record as a line of text, its `fields` as `key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback below it if there is one."""
        fields = "".join(
            f" {name}={_plain(value)}" for name, value in getattr(record, "fields", {}).items()
        )
        head = f"{_timestamp(record.created)} {record.levelname.lower():8s} "
        trace = "\n" + self.formatException(record.exc_info) if record.exc_info else ""
        return head + _cut(record.getMessage()) + fields + _cut(trace)


@contextmanager
def _captured_stderr(original: BinaryIO) -> Iterator[None]:
    """Turn lines that are written to descriptor 2 into warnings.

    A crash is still reported on the `original`, by `faulthandler`.
    """
    reader, writer = os.pipe()
    os.dup2(writer, _STDERR)
    os.close(writer)
    draining = threading.Thread(target=_log_lines, args=[reader], name="stderr", daemon=True)
    draining.start()
    faulthandler.enable(original)
    try:
        yield
    finally:
        faulthandler.disable()
        sys.stderr.flush()
        os.dup2(original.fileno(), _STDERR)  # closes the pipe, unless a subprocess holds it
        draining.join(_CLOSE_S)


def _log_lines(descriptor: int) -> None:
    with open(descriptor, "rb") as lines:
        while line := lines.readline(MAX_TEXT):
            text = line.decode(errors="replace").rstrip()
            if text:
                logging.getLogger("stderr").warning(text)


def _plain(value: object) -> str:
    """The value, in quotes only where it would otherwise not be one word."""
    text = str(value)
    return text if text.isprintable() and text and not set(text) & set(" '\"=") else repr(value)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."


def _timestamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
