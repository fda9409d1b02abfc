import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import Mock

import numpy as np
import pytest
from onnx import TensorProto

from rmbg_service.errors import (
    ConfigurationError,
    DeviceFailure,
    InferenceError,
    OutOfDeviceMemory,
)
from rmbg_service.models.catalog import EMBEDDED
from rmbg_service.models.onnx import OnnxPredictor
from rmbg_service.models.predictor import Located
from rmbg_service.models.select import select_predictor
from rmbg_service.models.spec import ModelSpec
from rmbg_service.models.store import EMBEDDED_PATH
from rmbg_service.settings import Settings
from tests.models.graphs import graph

GREY = np.full((8, 8, 3), 127, np.uint8)


def spec(**changes: Any) -> ModelSpec:
    row: dict[str, Any] = {
        "name": "tiny", "runtime": "onnx", "source": "", "licence": "", "licence_url": "",
        "input_size": (8, 8), "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0),
    }  # fmt: skip
    return ModelSpec(**(row | changes))


def predictor_of(spec: ModelSpec, path: Path, **options: Any) -> OnnxPredictor:
    return OnnxPredictor(spec, lambda: Located(spec, path), **options)


def loaded(predictor: OnnxPredictor) -> OnnxPredictor:
    predictor.load()
    predictor.warm_up()
    return predictor


@pytest.mark.parametrize("element", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_size_and_dtype_come_from_the_graph_normalisation_from_the_row(
    tmp_path: Path, element: int
) -> None:
    path = graph(tmp_path / "tiny.onnx", element=element)
    row = spec(
        input_size=(99, 99), mean=(0.25, 0.25, 0.25), std=(0.5, 0.5, 0.5), activation="sigmoid"
    )
    predictor = loaded(predictor_of(row, path))
    assert predictor.input_size == (8, 8)
    (matte,) = predictor.predict([GREY])
    logit = (127 / 255 - 0.25) / 0.5
    assert matte.shape == (8, 8)
    assert matte.dtype == np.float32
    assert matte == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-3)


def test_an_open_size_is_filled_from_the_row(tmp_path: Path) -> None:
    path = graph(tmp_path / "open.onnx", shape=("n", 3, "height", "width"))
    predictor = loaded(predictor_of(spec(input_size=(16, 24)), path))
    assert predictor.input_size == (16, 24)
    picture = np.full((16, 24, 3), 255, np.uint8)
    assert predictor.predict([picture])[0].shape == (16, 24)


def test_logits_without_an_activation_stop_the_start(tmp_path: Path) -> None:
    path = graph(tmp_path / "logits.onnx", operators=("Log",))
    with pytest.raises(ConfigurationError, match="RMBG_ONNX_ACTIVATION=sigmoid"):
        loaded(predictor_of(spec(mean=(-1.0, -1.0, -1.0), std=(0.1, 0.1, 0.1)), path))


def test_nan_is_an_error_never_a_picture(tmp_path: Path) -> None:
    path = graph(tmp_path / "nan.onnx", operators=("Neg", "Sqrt"))
    predictor = predictor_of(spec(), path)
    predictor.load()
    with pytest.raises(InferenceError, match="not a number"):
        predictor.predict([GREY])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path / "absent.onnx", "not a usable ONNX model"),
        (lambda path: path, "not a usable ONNX model"),
        (lambda path: graph(path / "two.onnx", inputs=2), "one float input"),
        (lambda path: graph(path / "flat.onnx", shape=(3, 8)), "one float input"),
        (lambda path: graph(path / "grey.onnx", shape=(1, 1, 8, 8)), "one float input"),
        (lambda path: graph(path / "int.onnx", element=TensorProto.INT32), "one float input"),
        (lambda path: graph(path / "blind.onnx", outputs=0), "no output"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, make: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        loaded(predictor_of(spec(), make(tmp_path)))
    assert "\n" not in str(refused.value)


def test_what_is_not_an_onnx_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(ConfigurationError, match="not a usable ONNX model") as refused:
        predictor_of(spec(), path).load()
    assert "\n" not in str(refused.value)


def test_a_provider_that_is_not_active_stops_the_start() -> None:
    path = EMBEDDED_PATH
    with pytest.raises(ConfigurationError, match="'rocm' is not in this build"):
        predictor_of(EMBEDDED, path, provider="rocm").load()
    with pytest.raises(ConfigurationError, match="unknown ONNX provider"):
        predictor_of(EMBEDDED, path, provider="abacus")


def test_a_gpu_that_is_not_used_is_a_warning_and_one_that_is_missing_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: available)
    predictor_of(EMBEDDED, EMBEDDED_PATH).load()
    assert (
        "can use a GPU, but the model runs on the CPU: set RMBG_ONNX_PROVIDER=cuda" in caplog.text
    )
    caplog.clear()
    # The GPU build on a machine without a GPU: the provider is there and does not start.
    with pytest.raises(ConfigurationError):
        predictor_of(EMBEDDED, EMBEDDED_PATH, provider="cuda").load()
    available.remove("CUDAExecutionProvider")
    with pytest.raises(ConfigurationError, match="pip uninstall --yes onnxruntime"):
        predictor_of(EMBEDDED, EMBEDDED_PATH, provider="cuda").load()
    predictor_of(EMBEDDED, EMBEDDED_PATH).load()
    assert not caplog.records


def test_a_provider_that_does_not_start_is_to_blame_and_not_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    session = Mock(**{"get_providers.return_value": providers[1:]})  # it has fallen back
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: providers)
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: session)
    with pytest.raises(ConfigurationError, match="'cuda' does not start") as refused:
        predictor_of(EMBEDDED, EMBEDDED_PATH, provider="cuda").load()
    assert EMBEDDED_PATH.name not in str(refused.value)


@pytest.mark.parametrize("provider", ["cpu", "openvino"])
def test_no_runtime_reports_its_use(tmp_path: Path, provider: str) -> None:
    if provider == "openvino":
        pytest.importorskip("openvino", reason="there is no OpenVINO for this platform")
    code = (
        "from rmbg_service.models.select import select_predictor\n"
        "from rmbg_service.settings import Settings\n"
        f"predictor = select_predictor(Settings(model='u2netp', onnx_provider='{provider}'))\n"
        "predictor.load(); predictor.warm_up(); predictor.close()"
    )
    variables = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "CI")}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
    subprocess.run([sys.executable, "-c", code], env=variables | home, check=True)
    # Their telemetry begins with an id and a database below the home folder.
    assert list(tmp_path.rglob("*")) == []


def test_the_embedded_model_finds_a_disc_and_finds_nothing_in_a_blank() -> None:
    predictor = loaded(select_predictor(Settings(model="u2netp")))  # type: ignore[arg-type]
    assert predictor.input_size == (320, 320)
    y, x = np.mgrid[0:320, 0:320]
    disc = (x - 160) ** 2 + (y - 160) ** 2 < 90**2
    picture = np.where(disc[..., None], (230, 60, 40), (90, 110, 120)).astype(np.uint8)
    matte, blank = predictor.predict([picture, np.full((320, 320, 3), 128, np.uint8)])
    assert matte[disc].mean() > 0.9
    assert matte[~disc].mean() < 0.05
    assert 0.0 <= matte.min() <= matte.max() <= 1.0
    assert blank.max() < 0.5  # a min-max stretch would make this 1
    predictor.close()
    predictor.close()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), OutOfDeviceMemory),
        (RuntimeError("Failed to allocate memory for 9"), OutOfDeviceMemory),
        (RuntimeError("std::bad_alloc"), OutOfDeviceMemory),
        (RuntimeError("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0"), OutOfDeviceMemory),
        (RuntimeError("CUDA failure 700: an illegal memory access ; GPU=0"), DeviceFailure),
        (RuntimeError("HIP failure 700: an illegal memory access ; GPU=0"), DeviceFailure),
        (RuntimeError("Non-zero status code returned while running Conv"), InferenceError),
    ],
)
def test_a_failed_prediction_is_reported_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]
) -> None:
    predictor = loaded(predictor_of(spec(), graph(tmp_path / "x.onnx")))

    class Failing:
        def run(self, tensor: object) -> NoReturn:
            raise error

    monkeypatch.setattr(predictor, "_graph", Failing())
    monkeypatch.setattr(predictor, "device", "rocm")
    with pytest.raises(kind, match=f"tiny failed: {str(error) or 'MemoryError'}") as failed:
        predictor.predict([GREY])
    assert type(failed.value) is kind
