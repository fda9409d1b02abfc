"""One line a record: JSON for machines, plain text for a terminal."""

import json
import logging
import sys
import time
import warnings
from typing import Literal


class JsonFormatter(logging.Formatter):
    """A record as one JSON object; `extra={"fields": {...}}` adds its members."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of JSON."""
        entry: dict[str, object] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """A record as plain text, its fields as `key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of text."""
        fields = "".join(f" {k}={v!r}" for k, v in getattr(record, "fields", {}).items())
        head = f"{_timestamp(record.created)} {record.levelname.lower():8s} {record.getMessage()}"
        trace = "\n" + self.formatException(record.exc_info) if record.exc_info else ""
        return head + fields + trace


def configure_logging(level: str, style: Literal["json", "text"]) -> None:
    """Send every logger's records to stderr in one style."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Pillow warns about every odd tag of a hostile file; what matters becomes an error anyway.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _timestamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
