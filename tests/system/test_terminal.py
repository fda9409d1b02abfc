import sys
from pathlib import Path

import pytest

import rmbg_service
from rmbg_service.system.terminal import stderr_console


@pytest.mark.parametrize("is_terminal", [False, True])
def test_only_a_terminal_is_taken_for_one(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    assert stderr_console().is_terminal is is_terminal


def test_every_console_of_stderr_is_this_one() -> None:
    package = Path(rmbg_service.__file__).parent
    made = [path.name for path in package.rglob("*.py") if "Console(stderr" in path.read_text()]
    assert made == ["terminal.py"]
