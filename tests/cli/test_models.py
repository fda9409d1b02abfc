from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from rmbg_service.cli import app
from rmbg_service.cli.tables import table_lines
from rmbg_service.models import catalog, hub, openvino
from rmbg_service.models.catalog import CATALOG, EMBEDDED, EMBEDDED_SHA256, VITMATTE
from rmbg_service.models.spec import Weights
from rmbg_service.models.store import EMBEDDED_PATH


def run(*arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["models", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_list_shows_every_model_its_licence_and_whether_it_is_here() -> None:
    lines = run("list").splitlines()[1:]
    assert len(lines) == len(CATALOG)
    for spec, line in zip(CATALOG, lines, strict=True):
        assert line.startswith(spec.name)
        assert spec.licence in line
        assert ("embedded" if spec is EMBEDDED else " no ") in line


def test_list_is_one_line_a_model_in_a_pipe_whatever_its_width() -> None:
    lines = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["models", "list"]).output.splitlines()
    assert len(lines) == 1 + len(CATALOG)
    assert all(line == line.rstrip() for line in lines)


def test_list_does_not_break_words_on_a_terminal_of_80_columns() -> None:
    rows = [(s.name, "2560 x 1440", s.licence, "1234 MB", s.good_for) for s in CATALOG]
    lines = table_lines(("name", "input", "licence", "on disk", "good for"), rows, 80)
    assert max(map(len, lines)) <= 80
    for spec in CATALOG:
        assert f"    {spec.good_for}" in lines
    assert len(
        table_lines(("name", "input", "licence", "on disk", "good for"), rows, 160)
    ) == 1 + len(CATALOG)


def test_importing_a_missing_bundle_is_one_clear_error() -> None:
    refused = CliRunner().invoke(app, ["models", "import", "none.tar"])
    assert str(refused.exception) == "none.tar: no such file or folder"


@pytest.mark.parametrize(
    ("name", "options", "revision"),
    [
        ("BiRefNet_lite", (), "pinned"),
        ("BiRefNet_lite", ("--revision", "v2"), "v2"),
        (VITMATTE.name, (), None),  # the setting pins the model beside it
        (VITMATTE.name, ("--revision", "v2"), "v2"),
    ],
)
def test_pull_fetches_the_revision_that_is_meant(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    options: tuple[str, ...],
    revision: str | None,
) -> None:
    asked: list[object] = []
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"weights")

    def pull(*arguments: object) -> Path:
        asked.append(arguments[-1])
        return weights

    monkeypatch.setenv("RMBG_MODEL_REVISION", "pinned")
    monkeypatch.setattr(import_module("rmbg_service.cli.models"), "pull_weights", pull)
    assert str(weights) in run("pull", name, *options)
    assert asked == [revision]


def test_show_says_what_to_do_for_a_gated_model() -> None:
    shown = run("show", "rmbg-2.0")
    for word in ("CC-BY-NC-4.0", "gated", "HF_TOKEN", "1024 x 1024", "commercial use  no"):
        assert word in shown


def test_show_says_by_what_the_patch_order_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "patch order     wg_hg_c, by the catalogue" in run("show", "RMBG-2.0")
    assert "patch order" not in run("show", "u2netp")
    random = np.random.default_rng(0)
    weights = {
        f"decoder.ipt_blk{block}.conv1.weight": random.random(shape, np.float32)
        for block, shape in zip(
            (5, 4, 3, 2), ((4, 3 * 4**k, 3, 3) for k in (5, 4, 3, 2)), strict=True
        )
    }
    save_file(weights, tmp_path / "model.safetensors")
    monkeypatch.setattr(hub, "cached", lambda *_: tmp_path)
    assert "patch order     wg_hg_c, by the catalogue (z = " in run("show", "RMBG-2.0")
    (tmp_path / "birefnet.py").write_text("b (c hg wg) h w")
    assert "contradictory (wg_hg_c by the catalogue, c_hg_wg by" in run("show", "RMBG-2.0")


def test_show_says_what_decides_the_number_format(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "number format   that of the file" in run("show", "u2netp")
    assert "number format   chosen when the model is loaded" in run("show", "RMBG-2.0")
    monkeypatch.setenv("RMBG_ONNX_PROVIDER", "openvino")
    monkeypatch.setattr(openvino, "x86_computes_bf16", lambda: True)
    assert "number format   chosen when the model is loaded" in run("show", "u2netp")
    monkeypatch.setattr(openvino, "x86_computes_bf16", lambda: False)
    assert "number format   fp32 (auto: this CPU has no" in run("show", "u2netp")
    monkeypatch.setenv("RMBG_DTYPE", "bf16")
    assert "number format   bf16 (set by RMBG_DTYPE)" in run("show", "RMBG-2.0")
    monkeypatch.setenv("RMBG_ONNX_PROVIDER", "auto")
    monkeypatch.setattr(openvino, "is_installed", lambda: True)
    monkeypatch.setattr(openvino, "x86_computes_bf16", lambda: True)
    assert "number format   bf16 (set by RMBG_DTYPE)" in run("show", "u2netp")


def test_pull_asks_for_the_licence_first_and_needs_nothing_for_the_embedded_model() -> None:
    assert "part of the package" in run("pull", "u2netp")
    refused = CliRunner().invoke(app, ["models", "pull", "RMBG-2.0"])
    assert refused.exit_code != 0
    assert "RMBG_ACCEPT_LICENSE=cc-by-nc-4.0" in str(refused.exception)


def test_pull_without_a_network_is_one_clear_error() -> None:
    refused = CliRunner().invoke(app, ["models", "pull", "BiRefNet_lite"])
    assert refused.exit_code != 0
    assert "BiRefNet_lite could not be fetched; hub: HF_HUB_OFFLINE" in str(refused.exception)


def test_a_file_is_pulled_exported_and_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = EMBEDDED_PATH.read_bytes()
    weights = Weights("net.onnx", sha256=EMBEDDED_SHA256, size_bytes=len(data))
    spec = replace(EMBEDDED, name="net", weights=weights)
    monkeypatch.setattr(catalog, "CATALOG", (spec,))
    monkeypatch.setenv("RMBG_MODEL_DIR", str(tmp_path / "here"))
    shown = run("pull", "net", "--from", str(EMBEDDED_PATH))
    assert "net: 5 MB in " in shown.replace("\n", " ")
    assert "5 MB" in run("list")
    run("export", str(tmp_path / "weights.tar"))
    monkeypatch.setenv("RMBG_MODEL_DIR", str(tmp_path / "there"))
    assert " no " in run("list")
    assert "net: in " in run("import", str(tmp_path / "weights.tar"))
    assert (tmp_path / "there" / "net" / "net.onnx").read_bytes() == data


def test_an_unknown_name_is_an_error() -> None:
    refused = CliRunner().invoke(app, ["models", "show", "nonsense"])
    assert "no model 'nonsense'; `rmbg-service models list`" in str(refused.exception)
    misspelt = CliRunner().invoke(app, ["models", "pull", "birefnt"])
    assert "no model 'birefnt' (did you mean BiRefNet?)" in str(misspelt.exception)
