from pathlib import Path

import pytest
from typer.testing import CliRunner

from rmbg_service.cli import app

ROOT = Path(__file__).parents[2]


def test_the_document_depends_neither_on_the_machine_nor_on_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rmbg_service.system.resources.memory_limit_bytes", lambda: 10**8)
    monkeypatch.setattr("rmbg_service.system.memory_budget.memory_limit_bytes", lambda: 10**8)
    monkeypatch.setenv("RMBG_MODEL", "a model that is not here")
    monkeypatch.setenv("RMBG_API_KEYS", "sesame")
    printed = CliRunner().invoke(app, ["openapi"])
    assert printed.exit_code == 0
    assert printed.stdout == (ROOT / "openapi.yaml").read_text("utf-8")
