import json
from pathlib import Path

from typer.testing import CliRunner

from rmbg_service.cli import app
from rmbg_service.errors import ConfigurationError
from tests.diagnostics.test_quality import noise_network


def test_a_model_that_works_exits_with_0() -> None:
    result = CliRunner().invoke(app, ["doctor", "--model", "u2netp"])
    assert result.exit_code == 0, result.output
    assert result.output.endswith("all is well\n")


def test_json_has_the_figures_and_a_model_that_does_not_work_exits_with_1(tmp_path: Path) -> None:
    path = noise_network(tmp_path / "noise.onnx")
    result = CliRunner().invoke(app, ["doctor", "--model", str(path), "--json"])
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert found["healthy"] is False
    assert found["quality"]["iou"] < 0.2
    assert found["files"][0]["path"] == str(path)
    assert len(found["problems"]) == 1


def test_an_unknown_model_is_an_error() -> None:
    result = CliRunner().invoke(app, ["doctor", "--model", "nonsense"])
    assert isinstance(result.exception, ConfigurationError)
