"""OpenVINO: opens a graph on the CPU, in the number format that suits the model.

OpenVINO computes in float32 or bfloat16, whatever the file has. `auto` is bfloat16 if the CPU has
instructions for it, and a trial with this very graph finds that it changes little and saves time.
"""

import io
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.graph import GraphInput
from rmbg_service.models.reference_image import reference_closeup, reference_input
from rmbg_service.models.trial import Difference, FormatChoice, choose_format
from rmbg_service.system.resources import x86_computes_bf16
from rmbg_service.types import Matte, ModelInput

log = logging.getLogger(__name__)

LONG_S = 1.0
"""CPU seconds of a prediction above which the trial has no second image, for a quick start."""

_SUBJECT = (0.01, 0.99)
"""Between these shares of foreground, a matte shows a subject."""

_TYPES = {"f32": "tensor(float)", "f16": "tensor(float16)"}


class Trial(NamedTuple):
    """Mattes of the trial images, and the CPU seconds of the fastest prediction."""

    mattes: list[Matte]
    cpu_s: float


class OpenVinoSession:
    """The graph in `path` in `dtype`, fp32 or bf16; see `Graph`.

    `size` is `(height, width)` where the graph leaves it open.
    """

    def __init__(self, path: Path, size: tuple[int, int], threads: int, dtype: str) -> None:
        core = _loaded_core()
        model = core.read_model(_without_large_biases(path) if dtype == "bf16" else path)
        self.inputs: Sequence[GraphInput] = [_described(each) for each in model.inputs]
        self.outputs = len(model.outputs)
        for each in model.inputs:
            shape = each.partial_shape
            if shape.is_dynamic and shape.rank == 4:
                sides = zip(shape, (1, 3, *size), strict=True)
                model.reshape({each: [own if own.is_static else side for own, side in sides]})
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # every process would take the same cores
        }
        self._request = core.compile_model(model, "CPU", options).create_infer_request()

    def run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The first output."""
        self._request.infer([tensor], share_inputs=True)
        return np.array(self._request.get_output_tensor(0).data)


def _loaded_core() -> Any:
    """OpenVINO's core with all parts that a graph needs: what fails after that is the graph's."""
    # Imported, this package reports the import to Intel; without it OpenVINO has a stub.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    with _blaming("openvino"):
        import openvino  # an optional dependency
        from openvino.frontend import FrontEndManager

        core = openvino.Core()
        core.get_property("CPU", "FULL_DEVICE_NAME")  # loads what computes on the CPU
        FrontEndManager().load_by_framework("onnx")
    return core


@contextmanager
def _blaming(package: str) -> Iterator[None]:
    """Raise `ConfigurationError` for whatever a package raises that cannot be loaded."""
    try:
        yield
    except Exception as error:  # the linker's, Python's or OpenVINO's own
        # OpenVINO's begin with lines about its source.
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise ConfigurationError(
            f"the package {package} cannot be loaded ({reason}): install it again with pip install"
            f" --force-reinstall {package}, or set RMBG_ONNX_PROVIDER=cpu"
        ) from None


def _described(found: Any) -> GraphInput:
    element = found.element_type.get_type_name()
    shape = [None if side.is_dynamic else side.get_length() for side in found.partial_shape]
    return GraphInput(found.any_name, _TYPES.get(element, element), shape)


def _without_large_biases(path: Path) -> Path | io.BytesIO:
    """The model in `path` rewritten for bfloat16; the path itself if it needs no rewriting."""
    with _blaming("onnx"):
        import onnx  # an optional dependency

        from rmbg_service.models.bias_absorption import absorb_large_biases

    model = onnx.load(path)
    absorbed = absorb_large_biases(model)
    log.info("%s: absorbed the large biases of %d convolutions", path.name, absorbed)
    return io.BytesIO(model.SerializeToString()) if absorbed else path


def is_installed() -> bool:
    """Whether the packages of the extra `openvino` are there."""
    return all(find_spec(package) is not None for package in ("openvino", "onnx"))


def is_candidate(provider: str) -> bool:
    """Whether it may run a model; `provider` is that in `RMBG_ONNX_PROVIDER`.

    `auto` considers it if it is installed and the CPU computes bfloat16, in which it is faster.
    """
    if provider == "auto":
        return is_installed() and x86_computes_bf16()
    return provider == "openvino"


def format_by_setting(name: str) -> FormatChoice | None:
    """The format if it is settled without a trial; `name` is that in `RMBG_DTYPE`."""
    if name == "fp16":
        return FormatChoice("fp32", "OpenVINO is not used in fp16, which RMBG_DTYPE asks for")
    if name != "auto":
        return FormatChoice(name, "set by RMBG_DTYPE")
    if not x86_computes_bf16():
        return FormatChoice("fp32", "auto: this CPU has no known instructions for bf16")
    return None


def run_trial(
    predict: Callable[[Sequence[ModelInput]], list[Matte]], size: tuple[int, int]
) -> Trial:
    """Predict one or two images at `(height, width)`, the same at every start.

    They are what a request asks for: the reference image and the box around its subject, mirrored.
    It has a person with hair before a structured background; for u2netp, U²-Net and IS-Net,
    rounding moves its matte as much as that of the median photo. The time is CPU time, because
    neighbours on the machine hardly change it.
    """
    mattes, seconds = [], []
    for image in (reference_input(size), reference_closeup(size)):
        started = time.process_time()
        mattes += predict([image])
        seconds.append(time.process_time() - started)
        if seconds[0] > LONG_S:
            break
    return Trial(mattes, min(seconds))


def format_without_subject(exact: Trial) -> FormatChoice | None:
    """float32 if the model finds no subject in an image: nothing then shows what rounding does."""
    low, high = _SUBJECT
    if all(low < float((matte >= 0.5).mean()) < high for matte in exact.mattes):
        return None
    return FormatChoice("fp32", "auto: bf16 was not tried, the model finds no subject in the image")


def format_after_trial(exact: Trial, rounded: Trial) -> FormatChoice:
    """What `auto` is by the trials in float32 and bfloat16; the worse of the images counts."""
    pairs = zip(exact.mattes, rounded.mattes, strict=False)  # one may have stopped after the first
    differences = [Difference.of(*pair) for pair in pairs]
    worst = Difference(max(d.mean for d in differences), max(d.tail for d in differences))
    return choose_format(worst, rounded.cpu_s / max(exact.cpu_s, 1e-9))
