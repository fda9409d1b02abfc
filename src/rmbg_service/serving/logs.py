"""Logging to stderr: one JSON object a line for machines, or text for a terminal."""

import logging
import sys
import time
import warnings
from typing import Any, Literal

from pythonjsonlogger.json import JsonFormatter

LogFormat = Literal["auto", "json", "text"]


def configure_logging(level: str, log_format: LogFormat) -> None:
    """Send the records of all loggers to stderr; `auto` is text on a terminal, JSON elsewhere."""
    if log_format == "auto":
        log_format = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Pillow warns about every unusual tag of a file; a serious one is an error anyway.
    warnings.filterwarnings("ignore", module=r"PIL\.")


class JsonLines(JsonFormatter):
    """A record as one JSON object; `extra={"fields": {...}}` adds members to it."""

    def __init__(self) -> None:
        super().__init__(rename_fields={"exc_info": "exception"}, json_ensure_ascii=False)

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Fill `log_data`, in the order of the line."""
        log_data["time"] = _timestamp(record.created)
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)
        log_data |= log_data.pop("fields", {})


class TextLines(logging.Formatter):
    """A record as a line of text, its `fields` as `key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback below it if there is one."""
        fields = "".join(f" {k}={v!r}" for k, v in getattr(record, "fields", {}).items())
        head = f"{_timestamp(record.created)} {record.levelname.lower():8s} {record.getMessage()}"
        trace = "\n" + self.formatException(record.exc_info) if record.exc_info else ""
        return head + fields + trace


def _timestamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
