import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rmbg_service.cli import app
from rmbg_service.errors import ConfigurationError


def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name.startswith(("mcp.", "rmbg_service.mcp")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)  # as if it were not installed
    result = CliRunner().invoke(app, ["mcp", str(tmp_path)])
    assert isinstance(result.exception, ConfigurationError)
    assert "pip install -c constraints.txt -e '.[mcp]'" in str(result.exception)


def test_a_folder_must_be_named(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["mcp"]).exit_code == 2
    result = CliRunner().invoke(app, ["mcp", str(tmp_path / "none")])
    assert "is not a folder" in str(result.exception)
