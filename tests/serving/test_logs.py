import json
import logging
import sys
from collections.abc import Iterator
from io import StringIO

import pytest

from rmbg_service.serving.logs import JsonLines, LogFormat, TextLines, configure_logging


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, restored at the end."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def record(message: str = "request", **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("rmbg_service.api", logging.WARNING, "f.py", 1, message, None, None)
    made.created = 1_700_000_000.25
    made.fields = fields
    return made


def failing_record() -> logging.LogRecord:
    made = record()
    try:
        raise ValueError("odd")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_a_json_line_has_the_record_and_its_fields() -> None:
    line = JsonLines().format(record("größer", status=200, decode_ms=1.5, path="/a\nb"))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "rmbg_service.api",
        "message": "größer",
        "status": 200,
        "decode_ms": 1.5,
        "path": "/a\nb",
    }


def test_a_json_line_has_the_traceback_as_one_member() -> None:
    entry = json.loads(JsonLines().format(failing_record()))
    assert entry["exception"].endswith("ValueError: odd")
    assert "fields" not in entry


def test_a_text_line_has_the_record_and_its_fields() -> None:
    line = TextLines().format(record(status=200, path="/a\nb"))
    assert line == "2023-11-14T22:13:20.250Z warning  request status=200 path='/a\\nb'"
    assert TextLines().format(failing_record()).endswith("ValueError: odd")


@pytest.mark.parametrize(
    ("log_format", "terminal", "is_json"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("json", True, True),
        ("text", False, False),
    ],
)
def test_the_format_follows_the_setting_or_the_terminal(
    root: logging.Logger,
    monkeypatch: pytest.MonkeyPatch,
    log_format: LogFormat,
    terminal: bool,
    is_json: bool,
) -> None:
    stderr = StringIO()
    stderr.isatty = lambda: terminal  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stderr)
    configure_logging("info", log_format)
    logging.getLogger("a").debug("not told")
    logging.getLogger("a").info("told")
    (line,) = stderr.getvalue().splitlines()
    assert line.startswith("{") is is_json
