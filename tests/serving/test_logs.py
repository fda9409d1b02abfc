import json
import logging
import subprocess
import sys
import textwrap
import warnings

from rmbg_service.serving.logs import MAX_TEXT, JsonLines, TextLines, silence_libraries


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
    line = TextLines().format(record(path="/api/info", ms=1.5, model="a b", key=""))
    assert line.endswith("request path=/api/info ms=1.5 model='a b' key=''")
    assert TextLines().format(failing_record()).endswith("ValueError: odd")


HEAD = """
import logging, os, sys
from rmbg_service.serving.logs import *
log = logging.getLogger("a")
"""


def run(script: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_format_follows_the_setting_or_the_terminal() -> None:
    script = """
        for log_format, terminal in [
            ("auto", True), ("auto", False), ("json", True), ("text", False)
        ]:
            outer, inner = os.openpty() if terminal else os.pipe()
            os.dup2(inner, 2)
            with logging_to_stderr("info", log_format):
                log.debug("hidden")
                log.info("shown")
            (line,) = os.read(outer, 10_000).splitlines()
            print(log_format, terminal, line[:1] == b"{")
    """
    with run(script) as process:
        stdout, _ = process.communicate(timeout=60)
    assert stdout.splitlines() == [
        "auto True False",
        "auto False True",
        "json True True",
        "text False False",
    ]


def test_what_c_code_writes_to_stderr_becomes_warnings_and_what_follows_does_not() -> None:
    script = """
        import ctypes
        with logging_to_stderr("info", "json"):
            libc = ctypes.CDLL(None)
            libc.write(2, b"TIFFReadDirectory: Warning, \\xff\\n\\nhalf", 35)
            libc.write(2, b" a line", 7)
        print("error: plain", file=sys.stderr)
    """
    with run(script) as process:
        _, stderr = process.communicate(timeout=60)
    *lines, last = stderr.splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["message"] for entry in entries] == [
        "TIFFReadDirectory: Warning, \ufffd",
        "half a line",
    ]
    assert {(entry["level"], entry["logger"]) for entry in entries} == {("warning", "stderr")}
    assert last == "error: plain"


def test_a_crash_is_told_on_the_real_stderr() -> None:
    script = """
        with logging_to_stderr("info", "json"):
            os.abort()
    """
    with run(script) as process:
        _, stderr = process.communicate(timeout=60)
    assert "Fatal Python error: Aborted" in stderr


def test_a_reader_that_stands_still_blocks_neither_logging_nor_the_end() -> None:
    script = """
        with logging_to_stderr("info", "json"):
            for _ in range(MAX_LINES + 1000):
                log.info("x" * 200)
                os.write(2, b"from a library\\n")
            print("logged", dropped_lines() > 0)
        print("closed")
    """
    with run(script) as process:
        assert process.stdout is not None
        assert process.wait(60) == 0  # stderr, a pipe, is not read until here
        assert process.stdout.read() == "logged True\nclosed\n"
        assert process.stderr is not None
        first = process.stderr.readline()
    assert json.loads(first)["message"] == "x" * 200


def test_lines_are_there_when_the_process_ends_and_long_ones_are_cut() -> None:
    script = """
        with logging_to_stderr("info", "json"):
            for number in range(500):
                log.info(number)
            log.info("x" * 100_000)
        print(dropped_lines())
    """
    with run(script) as process:
        stdout, stderr = process.communicate(timeout=60)
    *messages, last = [json.loads(line)["message"] for line in stderr.splitlines()]
    assert messages == [str(number) for number in range(500)]
    assert last == "x" * MAX_TEXT + "..."
    assert stdout == "0\n"


def test_unusual_tags_of_a_file_are_no_news() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        silence_libraries()
        for module in ("PIL.TiffImagePlugin", "elsewhere"):
            warnings.warn_explicit("odd", UserWarning, "f.py", 1, module)
    assert len(shown) == 1
