"""What `auto` chooses, with ONNX Runtime and a made-up error as OpenVINO, and the real OpenVINO."""

import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from rmbg_service.errors import ConfigurationError, InferenceError
from rmbg_service.models import openvino
from rmbg_service.models.catalog import EMBEDDED
from rmbg_service.models.onnx import OnnxPredictor
from rmbg_service.models.onnx_runtime import OnnxRuntimeSession
from rmbg_service.models.predictor import Located
from rmbg_service.models.reference_image import reference_input
from rmbg_service.models.select import select_predictor
from rmbg_service.models.spec import ModelSpec
from rmbg_service.models.store import EMBEDDED_PATH
from rmbg_service.models.trial import MAX_MEAN, MAX_TAIL, Difference
from rmbg_service.settings import Settings
from rmbg_service.types import Matte
from tests.models.graphs import graph
from tests.openvino_install import REASON, break_openvino

SIZE = (64, 64)
SHAPE = (1, 3, *SIZE)


class Machine:
    """A CPU and the runtimes on it: what bfloat16 adds to an output, how long each format takes."""

    def __init__(self) -> None:
        self.error: Callable[[Matte], Any] = lambda _: 0.0005
        self.failure: Callable[[], Exception] | None = None
        self.cpu_s = {"fp32": 2.0, "bf16": 1.0}
        self.opened: list[str] = []
        self.alive: list[str] = []
        self.most_alive = 0
        self.predicted: list[str] = []
        self.clock = 0.0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A CPU with bfloat16."""
    machine = Machine()

    class Session(OnnxRuntimeSession):
        def __init__(self, path: Path, where: object, threads: int, dtype: str = "fp32") -> None:
            self.format = dtype
            machine.opened.append(dtype if where == "cpu" else f"openvino {dtype}")
            machine.alive.append(dtype)
            if dtype == "bf16" and machine.failure is not None:
                raise machine.failure()
            machine.most_alive = max(machine.most_alive, len(machine.alive))
            super().__init__(path, "cpu", threads)

        def __del__(self) -> None:
            machine.alive.remove(self.format)

        def run(self, tensor: NDArray[Any]) -> NDArray[Any]:
            machine.predicted.append(self.format)
            machine.clock += machine.cpu_s[self.format]
            matte = super().run(tensor)
            error = machine.error(matte) if self.format == "bf16" else 0
            return np.asarray(matte + error, np.float32)

    monkeypatch.setattr("rmbg_service.models.onnx.OnnxRuntimeSession", Session)
    monkeypatch.setattr(openvino, "OpenVinoSession", Session)
    monkeypatch.setattr(openvino, "is_installed", lambda: True)
    monkeypatch.setattr(openvino, "x86_computes_bf16", lambda: True)
    monkeypatch.setattr("time.process_time", lambda: machine.clock)
    return machine


def loaded(
    tmp_path: Path,
    dtype: str = "auto",
    mean: float = 0.0,
    provider: str = "openvino",
    **changes: Any,
) -> OnnxPredictor:
    spec = ModelSpec(
        "mine", "onnx", "", "", "", SIZE, mean=(mean,) * 3, std=(1.0, 1.0, 1.0), **changes
    )
    path = graph(tmp_path / "mine.onnx", shape=SHAPE)
    predictor = OnnxPredictor(spec, lambda: Located(spec, path), provider, dtype=dtype)
    assert (predictor.dtype, predictor.dtype_reason) == (None, None)
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
    assert machine.opened == ["openvino fp32", "openvino bf16"]
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
    assert machine.opened == ["openvino fp32", "openvino bf16", "openvino fp32"]
    assert (machine.alive, machine.most_alive) == (["fp32"], 1)


def test_auto_stays_with_fp32_if_bf16_is_not_faster(tmp_path: Path, machine: Machine) -> None:
    machine.cpu_s = {"fp32": 1.0, "bf16": 1.2}
    predictor = loaded(tmp_path)
    assert (predictor.dtype, predictor.dtype_reason) == (
        "fp32",
        "auto: bf16 takes 120% of fp32's CPU time",
    )


def test_a_slow_network_is_tried_on_one_image(tmp_path: Path, machine: Machine) -> None:
    machine.cpu_s = {"fp32": 2.0, "bf16": 0.9}
    loaded(tmp_path)
    assert machine.predicted == ["fp32", "bf16", "bf16"]
    machine.cpu_s, machine.predicted = {"fp32": 0.5, "bf16": 0.3}, []
    loaded(tmp_path)
    assert machine.predicted == ["fp32", "fp32", "bf16", "bf16"]


def test_a_matte_without_a_subject_is_no_evidence(tmp_path: Path, machine: Machine) -> None:
    predictor = loaded(tmp_path, mean=1.0)
    assert predictor.dtype == "fp32"
    assert "finds no subject" in str(predictor.dtype_reason)
    assert machine.opened == ["openvino fp32"]


def test_a_graph_that_cannot_be_opened_in_bf16_stays_in_fp32(
    tmp_path: Path, machine: Machine
) -> None:
    machine.failure = lambda: ValueError("larger than 2 GB")
    predictor = loaded(tmp_path)
    assert predictor.dtype == "fp32"
    assert "failed" in str(predictor.dtype_reason)
    assert "larger than 2 GB" in str(predictor.dtype_reason)
    assert machine.alive == ["fp32"]
    with pytest.raises(ConfigurationError, match="larger than 2 GB"):
        loaded(tmp_path, "bf16")


@pytest.mark.parametrize(
    ("dtype", "opened", "name", "reason"),
    [
        ("fp32", "openvino fp32", "fp32", "set by RMBG_DTYPE"),
        ("bf16", "openvino bf16", "bf16", "set by RMBG_DTYPE"),
        (
            "fp16",
            "openvino fp32",
            "fp32",
            "OpenVINO is not used in fp16, which RMBG_DTYPE asks for",
        ),
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
    assert machine.opened == ["openvino fp32"]
    assert machine.predicted == []


def test_a_model_with_figures_over_many_photos_is_not_tried(
    tmp_path: Path, machine: Machine
) -> None:
    predictor = loaded(tmp_path, bf16_measured=True)
    assert (predictor.dtype, machine.predicted) == ("bf16", [])
    assert "measured" in str(predictor.dtype_reason)
    assert machine.opened == ["openvino bf16"]
    machine.failure = lambda: ImportError("libtbb.so.12: cannot open shared object")
    predictor = loaded(tmp_path, bf16_measured=True, provider="auto")
    assert (predictor.device, predictor.dtype) == ("cpu", "fp32")
    assert "libtbb" in str(predictor.dtype_reason)


@pytest.mark.parametrize(
    ("dtype", "error", "device", "name", "opened"),
    [
        ("auto", 0.0005, "openvino", "bf16", ["fp32", "openvino bf16"]),
        ("auto", 2 * MAX_MEAN, "cpu", "fp32", ["fp32", "openvino bf16", "fp32"]),
        ("bf16", 2 * MAX_MEAN, "openvino", "bf16", ["openvino bf16"]),
        ("fp32", 0, "cpu", "fp32", ["fp32"]),
    ],
)
def test_the_provider_auto_is_openvino_only_in_bf16(
    tmp_path: Path,
    machine: Machine,
    dtype: str,
    error: float,
    device: str,
    name: str,
    opened: list[str],
) -> None:
    machine.error = lambda _: error
    predictor = loaded(tmp_path, dtype, provider="auto")
    assert (predictor.device, predictor.dtype) == (device, name)
    assert machine.opened == opened
    assert machine.alive == [name]


@pytest.mark.parametrize("lacks", ["is_installed", "x86_computes_bf16"])
def test_the_provider_auto_is_the_cpu_without_openvino_or_bf16(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    monkeypatch.setattr(openvino, lacks, lambda: False)
    predictor = loaded(tmp_path, provider="auto")
    assert (predictor.device, predictor.dtype, predictor.dtype_reason) == ("cpu", None, None)
    assert machine.opened == ["fp32"]
    assert machine.predicted == []


@pytest.mark.parametrize("package", ["openvino", "onnx"])
def test_openvino_needs_two_packages(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert not openvino.is_installed()
    predictor = select_predictor(Settings(model="u2netp", onnx_provider="openvino"))
    with pytest.raises(ConfigurationError, match="pip install openvino onnx"):
        predictor.load()


def test_other_providers_have_no_number_format_to_choose() -> None:
    settings = Settings(model="u2netp", dtype="bf16", onnx_provider="cpu")
    predictor = select_predictor(settings)
    assert isinstance(predictor, OnnxPredictor)
    predictor.load()
    assert predictor.dtype is None
    assert predictor.dtype_reason is None


@pytest.fixture
def real() -> None:
    pytest.importorskip("openvino", reason="there is no OpenVINO for this platform")


@pytest.mark.usefixtures("real")
def test_the_embedded_model_has_the_same_matte_in_both_runtimes_and_formats() -> None:
    def matte(provider: str, dtype: str) -> Matte:
        predictor = OnnxPredictor(
            EMBEDDED, lambda: Located(EMBEDDED, EMBEDDED_PATH), provider, threads=1, dtype=dtype
        )
        predictor.load()
        (predicted,) = predictor.predict([reference_input(predictor.input_size)])
        predictor.close()
        return predicted

    exact = matte("cpu", "auto")
    assert np.abs(matte("openvino", "fp32") - exact).max() < 1e-3
    difference = Difference.of(exact, matte("openvino", "bf16"))
    assert difference.small
    assert openvino.is_installed()


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize("element", [TensorProto.FLOAT, TensorProto.FLOAT16])
@pytest.mark.parametrize("shape", [(1, 3, 8, 12), ("n", 3, "h", "w"), (None, "C", 8, "w")])
def test_openvino_reads_size_and_type_from_the_graph(
    tmp_path: Path, shape: tuple[Any, ...], element: int
) -> None:
    path = graph(tmp_path / "open.onnx", shape=shape, element=element)
    row = ModelSpec("open", "onnx", "", "", "", (8, 12), mean=(0.0,) * 3, std=(1.0,) * 3)
    predictor = OnnxPredictor(row, lambda: Located(row, path), "openvino", dtype="fp32")
    predictor.load()
    predictor.warm_up()
    assert predictor.input_size == (8, 12)
    image = np.full((8, 12, 3), 51, np.uint8)
    first, second = predictor.predict([image, image * 5])
    assert first == pytest.approx(0.2, abs=1e-3)
    assert second == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(InferenceError):
        predictor.predict([np.zeros((4, 4, 3), np.uint8)])


@pytest.mark.usefixtures("real")
def test_openvino_refuses_what_is_no_network_of_this_kind(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a graph")
    for path, says in (
        (broken, "not a usable ONNX model"),
        (graph(tmp_path / "flat.onnx", shape=(3, 8)), "one float input"),
        (graph(tmp_path / "grey.onnx", shape=(1, 1, "h", "w")), "one float input"),
        (graph(tmp_path / "int.onnx", element=TensorProto.INT32), "one float input"),
        (graph(tmp_path / "two.onnx", inputs=2), "one float input"),
        (graph(tmp_path / "blind.onnx", outputs=0), "no output"),
    ):
        spec = ModelSpec("mine", "onnx", "", "", "", SIZE)
        locate = partial(Located, spec, path)
        with pytest.raises(ConfigurationError, match=says) as refused:
            OnnxPredictor(spec, locate, "openvino", dtype="fp32").load()
        assert "\n" not in str(refused.value)


@pytest.fixture
def broken(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    break_openvino(tmp_path_factory.mktemp("site-packages"), monkeypatch)
    monkeypatch.setattr(openvino, "is_installed", lambda: True)
    monkeypatch.setattr(openvino, "x86_computes_bf16", lambda: True)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("dtype", ["auto", "fp32"])
def test_an_openvino_that_cannot_be_loaded_is_blamed_and_not_the_model(
    tmp_path: Path, dtype: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, dtype)
    assert str(refused.value) == (
        f"the package openvino cannot be loaded ({REASON}): install it again with pip install"
        " --force-reinstall openvino, or set RMBG_ONNX_PROVIDER=cpu"
    )


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("measured", [False, True])
def test_auto_runs_in_onnx_runtime_if_openvino_cannot_be_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, measured: bool
) -> None:
    predictor = loaded(tmp_path, provider="auto", bf16_measured=measured)
    assert (predictor.device, predictor.dtype) == ("cpu", "fp32")
    assert "the package openvino cannot be loaded" in str(predictor.dtype_reason)
    assert f"mine: bf16 is not used: the package openvino cannot be loaded ({REASON})" in (
        caplog.text
    )
    (matte,) = predictor.predict([np.full((*SIZE, 3), 51, np.uint8)])
    assert matte == pytest.approx(0.2, abs=1e-3)


@pytest.mark.usefixtures("real")
def test_a_missing_part_of_openvino_is_told_without_places_in_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Core:
        def get_property(self, *_: str) -> None:
            raise RuntimeError("Exception from src/core.cpp:268:\nDevice CPU is not registered\n\n")

    monkeypatch.setattr("openvino.Core", Core)
    with pytest.raises(ConfigurationError, match=r"loaded \(Device CPU is not registered\): "):
        loaded(tmp_path, "fp32")


@pytest.mark.usefixtures("real")
def test_an_onnx_that_cannot_be_loaded_is_blamed_and_not_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "is_installed", lambda: True)
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "rmbg_service.models.bias_absorption", raising=False)
    with pytest.raises(ConfigurationError, match="the package onnx cannot be loaded"):
        loaded(tmp_path, "bf16")


@pytest.mark.usefixtures("real")
def test_openvino_gets_its_threads_and_only_in_bf16_a_rewritten_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten: list[Path] = []

    def rewrite(path: Path) -> Path:
        rewritten.append(path)
        return path

    monkeypatch.setattr(openvino, "_without_large_biases", rewrite)
    path = graph(tmp_path / "mine.onnx", shape=SHAPE)
    session = openvino.OpenVinoSession(path, SIZE, 1, "fp32")
    compiled = session._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    assert not rewritten
    openvino.OpenVinoSession(path, SIZE, 1, "bf16")
    assert rewritten == [path]
