import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmbg_service.diagnostics import doctor
from rmbg_service.diagnostics.doctor import examine
from rmbg_service.diagnostics.findings import Findings, OtherFormat
from rmbg_service.models import openvino
from rmbg_service.models.predictor import PatchOrderChoice, Predictor
from rmbg_service.models.reference_image import reference_matte
from rmbg_service.models.store import EMBEDDED_PATH
from rmbg_service.models.with_matting import PredictorWithMatting
from rmbg_service.settings import PatchOrder, Settings
from rmbg_service.system.resources import accelerators
from rmbg_service.types import Matte, ModelInput
from tests.diagnostics.test_quality import noise_network
from tests.fakes import FakeMatting
from tests.openvino_install import REASON, break_openvino

U2NETP_SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"


class FakeBiRefNet:
    """Answers the known matte, or its tiles in disorder when the patch order is not `trained`.

    `error` is how far off its mattes are in any format but fp32.
    """

    name = "fake"
    input_size = (64, 64)
    licence = "unknown"
    device = "cpu"
    device_memory_bytes = 0
    dtype_reason = "test"

    def __init__(self, settings: Settings, trained: PatchOrder, error: float) -> None:
        order = settings.patch_order or "c_hg_wg"
        self.patch_order = PatchOrderChoice(order, "catalogue", 0.5)
        self.dtype = "fp32" if settings.dtype == "auto" else settings.dtype
        self.matte = reference_matte(self.input_size)
        if order != trained:
            tiles = self.matte.reshape(4, 16, 4, 16)
            self.matte = tiles.transpose(2, 1, 0, 3).reshape(64, 64)
        if self.dtype != "fp32":
            self.matte = np.clip(self.matte + np.float32(error), 0, 1)

    def load(self) -> None:
        pass

    def warm_up(self) -> None:
        pass

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        return [self.matte for _ in batch]

    def close(self) -> None:
        pass


@pytest.fixture
def birefnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Examine a fake BiRefNet."""

    def run(trained: PatchOrder = "c_hg_wg", error: float = 0.0, **settings: Any) -> Findings:
        def select(variant: Settings) -> Predictor:
            return FakeBiRefNet(variant, trained, error)

        monkeypatch.setattr(doctor, "select_predictor", select)
        (tmp_path / "model.safetensors").touch()
        return examine(Settings(model=str(tmp_path), **settings))

    return run


def test_the_embedded_model_is_well() -> None:
    findings = examine(Settings(model="u2netp"))
    assert findings.healthy
    assert findings.licence == "Apache-2.0"
    assert [file.sha256 for file in findings.files] == [U2NETP_SHA256]
    assert findings.quality is not None
    text = findings.as_text()
    assert text.endswith("all is well")
    for word in (U2NETP_SHA256, "Apache-2.0", "IoU 0.93", "ms an image", "device         cpu"):
        assert word in text


def test_a_wrong_normalisation_is_a_problem_with_its_setting(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    shutil.copy(EMBEDDED_PATH, path)
    assert examine(Settings(model=str(path))).healthy
    wrong = examine(Settings(model=str(path), onnx_mean=(0.0, 0.0, 0.0), onnx_std=(1.0, 1.0, 1.0)))
    (problem,) = wrong.problems
    assert "RMBG_ONNX_MEAN" in problem
    assert "these bytes are not in the catalogue" not in wrong.as_text()
    assert wrong.as_text().endswith("not fit to serve")


def test_a_network_that_answers_noise_is_a_problem(tmp_path: Path) -> None:
    path = noise_network(tmp_path / "noise.onnx")
    (problem,) = examine(Settings(model=str(path))).problems
    assert "not cut out" in problem


def test_what_does_not_load_is_a_problem_and_no_exception(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a graph")
    findings = examine(Settings(model=str(path)))
    (problem,) = findings.problems
    assert "broken.onnx" in problem
    assert findings.quality is None
    assert "quality" not in findings.as_text()
    assert findings.as_json()["healthy"] is False


def test_both_patch_orders_are_measured(birefnet: Any) -> None:
    findings = birefnet(trained="c_hg_wg")
    assert findings.healthy
    assert findings.quality.iou == 1
    assert findings.other_order.order == "wg_hg_c"
    assert findings.other_order.quality.iou < 0.5
    assert "with wg_hg_c: IoU 0." in findings.as_text()
    assert findings.as_json()["other_order"]["quality"]["iou"] < 0.5


def test_a_wrong_patch_order_is_a_problem_with_the_right_one(birefnet: Any) -> None:
    assert birefnet(trained="wg_hg_c").problems == [
        "the patch order wg_hg_c cuts out better: set RMBG_PATCH_ORDER=wg_hg_c"
    ]
    assert birefnet(trained="wg_hg_c", patch_order="wg_hg_c").healthy


def test_a_number_format_that_changes_the_matte_is_a_problem(birefnet: Any) -> None:
    (problem,) = birefnet(error=0.01, dtype="bf16").problems
    assert "set RMBG_DTYPE=fp32" in problem
    assert birefnet(error=0.001, dtype="bf16").healthy


def test_the_formats_of_the_device_are_measured(birefnet: Any) -> None:
    (other,) = birefnet(error=0.01).other_formats
    assert other.dtype == "bf16"
    assert 0.005 < other.mean <= other.worst <= 0.0101


@pytest.mark.parametrize(
    ("seconds", "mean", "hinted"), [(0.5, 0.001, 1), (0.9, 0.001, 0), (0.5, 0.1, 0)]
)
def test_a_faster_format_that_changes_little_is_a_hint(
    birefnet: Any, seconds: float, mean: float, hinted: int
) -> None:
    findings = birefnet()
    findings.predict_s, findings.hints = 1.0, []
    findings.other_formats = [OtherFormat("bf16", mean, mean, seconds)]
    doctor._judge_quality(findings)
    assert len(findings.hints) == hinted
    assert findings.healthy


def test_an_accelerator_that_is_not_used_is_said(
    birefnet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "accelerators", lambda: ["NVIDIA GPU"])
    (problem,) = birefnet().problems
    assert "this machine has: NVIDIA GPU: install PyTorch built for it" in problem
    chosen = birefnet(device="cpu")
    assert chosen.healthy
    assert "RMBG_DEVICE=auto" in chosen.hints[0]


@pytest.mark.parametrize("computes", [True, False])
def test_a_cpu_with_bfloat16_deserves_openvino(
    birefnet: Any, monkeypatch: pytest.MonkeyPatch, computes: bool
) -> None:
    monkeypatch.setattr(doctor, "x86_computes_bf16", lambda: computes)
    hints = examine(Settings(model="u2netp")).hints
    assert ["OpenVINO" in hint for hint in hints] == [True] * computes
    monkeypatch.setattr(doctor, "_faster", lambda *_: False)  # fakes take no time in any format
    assert not birefnet().hints  # PyTorch uses it anyway


@pytest.mark.parametrize("dtype", ["auto", "fp32"])
def test_an_openvino_that_cannot_be_loaded_is_no_reason_not_to_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any
) -> None:
    break_openvino(tmp_path, monkeypatch)
    monkeypatch.setattr(openvino, "is_installed", lambda: True)
    monkeypatch.setattr(openvino, "x86_computes_bf16", lambda: True)
    findings = examine(Settings(model="u2netp", dtype=dtype, onnx_provider="auto"))
    assert findings.healthy
    assert (findings.device, findings.dtype) == ("cpu", "fp32")
    (hint,) = findings.hints
    assert hint.startswith("ONNX Runtime serves in fp32, which could not be compared with bf16: ")
    assert f"the package openvino cannot be loaded ({REASON}): install it again" in hint
    asked = examine(Settings(model="u2netp", onnx_provider="openvino"))
    (problem,) = asked.problems  # it is not fallen back from
    assert problem.startswith("the package openvino cannot be loaded")


def test_more_threads_than_cpus_and_too_little_memory_are_problems(
    birefnet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "cpu_count", lambda: 2)
    monkeypatch.setattr(doctor, "memory_limit_bytes", lambda: 10**9)
    monkeypatch.setattr(doctor, "resident_bytes", lambda: 3 * 10**8)  # not that of all tests
    threads, memory = birefnet(cpu_threads=3).problems
    assert "RMBG_CPU_THREADS is 3" in threads
    assert "RMBG_MAX_INFLIGHT_PIXELS" in memory


def test_accelerators_are_found_by_their_device_files(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    assert "NVIDIA GPU" in accelerators(tmp_path)


def test_a_matting_model_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def select(settings: Settings) -> Predictor:
        return PredictorWithMatting(FakeBiRefNet(settings, "c_hg_wg", 0.0), FakeMatting())

    monkeypatch.setattr(doctor, "select_predictor", select)
    findings = examine(Settings())
    assert findings.matting is not None
    assert (findings.matting.name, findings.matting.dtype) == ("fake-matting", "fp32")
    assert findings.matting.tile_s >= 0
    assert "matting        fake-matting (unknown) in fp32; " in findings.as_text()
    assert findings.as_json()["matting"]["name"] == "fake-matting"
