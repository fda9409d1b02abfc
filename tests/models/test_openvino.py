"""What `auto` chooses, with an OpenVINO that is ONNX Runtime's CPU provider and a made-up error."""

import json
import logging
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import openvino
from rmbg_service.models.onnx import OnnxPredictor
from rmbg_service.models.predictor import Located
from rmbg_service.models.select import select_predictor
from rmbg_service.models.spec import ModelSpec
from rmbg_service.models.trial import MAX_MEAN, MAX_TAIL
from rmbg_service.settings import Settings
from rmbg_service.types import Matte

SIZE = (64, 64)
RealSession = ort.InferenceSession


def graph(path: Path) -> Path:
    """A network whose matte is the brightness of the image."""
    feed = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, *SIZE))
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=1)
    made = helper.make_graph([node], "brightness", [feed], [result])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


class Machine:
    """A CPU and the OpenVINO on it: what bfloat16 adds to an output, and how long each takes."""

    def __init__(self) -> None:
        self.error: Callable[[Matte], Any] = lambda _: 0.0005
        self.cpu_s = {"f32": 2.0, "bf16": 1.0}
        self.opened: list[str] = []
        self.alive: list[str] = []
        self.most_alive = 0
        self.predicted: list[str] = []
        self.clock = 0.0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A CPU with bfloat16."""
    machine = Machine()

    class Session:
        def __init__(self, graph: Any, options: ort.SessionOptions, providers: list[Any]) -> None:
            ((name, asked),) = providers
            assert name == "OpenVINOExecutionProvider"
            self.format = json.loads(asked["load_config"])["CPU"]["INFERENCE_PRECISION_HINT"]
            machine.opened.append(self.format)
            machine.alive.append(self.format)
            machine.most_alive = max(machine.most_alive, len(machine.alive))
            self._real = RealSession(graph, options)

        def __del__(self) -> None:
            machine.alive.remove(self.format)

        def run(self, *args: Any) -> list[Matte]:
            machine.predicted.append(self.format)
            machine.clock += machine.cpu_s[self.format]
            (matte,) = self._real.run(*args)
            error = machine.error(matte) if self.format == "bf16" else 0
            return [np.asarray(matte + error, np.float32)]

        def get_providers(self) -> list[str]:
            return ["OpenVINOExecutionProvider"]

        def disable_fallback(self) -> None: ...

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["OpenVINOExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setattr(openvino, "x86_computes_bf16", lambda: True)
    monkeypatch.setattr("time.process_time", lambda: machine.clock)
    return machine


def loaded(tmp_path: Path, dtype: str = "auto", mean: float = 0.0) -> OnnxPredictor:
    spec = ModelSpec("mine", "onnx", "", "", "", SIZE, mean=(mean,) * 3, std=(1.0, 1.0, 1.0))
    path = graph(tmp_path / "mine.onnx")
    predictor = OnnxPredictor(spec, lambda: Located(spec, path), "openvino", dtype=dtype)
    assert (predictor.dtype, predictor.dtype_reason) == ("fp32", "not loaded")
    predictor.load()
    return predictor


def test_auto_is_bf16_if_it_is_faster_and_changes_little(
    tmp_path: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    predictor = loaded(tmp_path)
    reason = (
        "auto: the CPU computes it in 50% of fp32's CPU time, and it changes a matte by"
        " 5.0e-04 on average, 5.0e-04 at the 99.9th percentile"
    )
    assert (predictor.dtype, predictor.dtype_reason) == ("bf16", reason)
    assert f"mine on openvino: bf16 ({reason})" in caplog.text
    assert machine.opened == ["f32", "bf16"]
    assert (machine.alive, machine.most_alive) == (["bf16"], 1)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (lambda _: 2 * MAX_MEAN, "but change a matte by 3.9e-03 on average"),
        (
            lambda matte: np.where(np.arange(matte.size) < 9, 2 * MAX_TAIL, 0).reshape(matte.shape),
            "1.0e-01 at the 99.9th percentile; allowed: 2.0e-03 on average, 5.0e-02",
        ),
        (lambda _: np.nan, "the trial of bf16 failed: mine gave a value that is not a number"),
    ],
    ids=["on average", "in few pixels", "not a number"],
)
def test_auto_stays_with_fp32_if_rounding_harms_the_matte(
    tmp_path: Path, machine: Machine, error: Any, says: str
) -> None:
    machine.error = error
    predictor = loaded(tmp_path)
    assert predictor.dtype == "fp32"
    assert says in str(predictor.dtype_reason)
    assert machine.opened == ["f32", "bf16", "f32"]
    assert (machine.alive, machine.most_alive) == (["f32"], 1)


def test_auto_stays_with_fp32_if_bf16_is_not_faster(tmp_path: Path, machine: Machine) -> None:
    machine.cpu_s = {"f32": 1.0, "bf16": 1.2}
    predictor = loaded(tmp_path)
    assert (predictor.dtype, predictor.dtype_reason) == (
        "fp32",
        "auto: bf16 takes 120% of fp32's CPU time",
    )


def test_a_slow_network_is_tried_on_one_image(tmp_path: Path, machine: Machine) -> None:
    machine.cpu_s = {"f32": 2.0, "bf16": 0.9}
    loaded(tmp_path)
    assert machine.predicted == ["f32", "bf16", "bf16"]
    machine.cpu_s, machine.predicted = {"f32": 0.5, "bf16": 0.3}, []
    loaded(tmp_path)
    assert machine.predicted == ["f32", "f32", "bf16", "bf16"]


def test_a_matte_without_a_subject_is_no_evidence(tmp_path: Path, machine: Machine) -> None:
    predictor = loaded(tmp_path, mean=1.0)
    assert predictor.dtype == "fp32"
    assert "finds no subject" in str(predictor.dtype_reason)
    assert machine.opened == ["f32"]


def test_a_graph_that_cannot_be_opened_in_bf16_stays_in_fp32(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> NoReturn:
        raise ValueError("larger than 2 GB")

    monkeypatch.setattr(openvino, "read_for_bf16", fail)
    predictor = loaded(tmp_path)
    assert predictor.dtype == "fp32"
    assert "failed" in str(predictor.dtype_reason)
    assert "larger than 2 GB" in str(predictor.dtype_reason)
    assert machine.alive == ["f32"]
    with pytest.raises(ConfigurationError, match="larger than 2 GB"):
        loaded(tmp_path, "bf16")


@pytest.mark.parametrize(
    ("dtype", "opened", "name", "reason"),
    [
        ("fp32", "f32", "fp32", "set by RMBG_DTYPE"),
        ("bf16", "bf16", "bf16", "set by RMBG_DTYPE"),
        ("fp16", "f32", "fp32", "OpenVINO is not used in fp16, which RMBG_DTYPE asks for"),
    ],
)
def test_a_format_that_was_set_is_not_tried(
    tmp_path: Path, machine: Machine, dtype: str, opened: str, name: str, reason: str
) -> None:
    predictor = loaded(tmp_path, dtype)
    assert (predictor.dtype, predictor.dtype_reason) == (name, reason)
    assert machine.opened == [opened]
    assert machine.predicted == []


def test_auto_is_fp32_without_instructions_for_bf16(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "x86_computes_bf16", lambda: False)
    predictor = loaded(tmp_path)
    assert predictor.dtype == "fp32"
    assert "no known instructions for bf16" in str(predictor.dtype_reason)
    assert machine.opened == ["f32"]
    assert machine.predicted == []


def test_auto_is_fp32_and_bf16_an_error_without_the_package_that_rewrites_graphs(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "can_rewrite", lambda: False)
    predictor = loaded(tmp_path)
    assert predictor.dtype == "fp32"
    assert "pip install onnx" in str(predictor.dtype_reason)
    with pytest.raises(ConfigurationError, match="pip install onnx"):
        loaded(tmp_path, "bf16")


def test_the_package_that_rewrites_graphs_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert openvino.can_rewrite()
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert not openvino.can_rewrite()


def test_openvino_gets_its_threads_and_the_graph_without_its_large_biases(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Any] = []
    calls = count()

    def note(graph: Path | bytes, options: ort.SessionOptions, providers: list[Any]) -> NoReturn:
        opened.extend(providers)
        assert isinstance(graph, bytes) == (next(calls) == 1)
        raise RuntimeError("not in this build")

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["OpenVINOExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", note)
    for dtype in ("fp32", "bf16"):
        settings = Settings(onnx_provider="openvino", dtype=dtype, cpu_threads=3)
        with pytest.raises(ConfigurationError, match="not in this build"):
            select_predictor(settings).load()
    for (name, options), hint in zip(opened, ("f32", "bf16"), strict=True):
        assert (name, options["device_type"]) == ("OpenVINOExecutionProvider", "CPU")
        config = json.loads(options["load_config"])["CPU"]
        assert config["INFERENCE_NUM_THREADS"] == 3
        assert config["INFERENCE_PRECISION_HINT"] == hint


def test_other_providers_have_no_number_format_to_choose() -> None:
    predictor = select_predictor(Settings(model="u2netp", dtype="bf16"))
    assert isinstance(predictor, OnnxPredictor)
    assert predictor.dtype is None
    assert predictor.dtype_reason is None
