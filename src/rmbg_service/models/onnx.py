"""Any single-input background-removal network in an ONNX file."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rmbg_service.errors import (
    ConfigurationError,
    DeviceFailure,
    InferenceError,
    OutOfDeviceMemory,
    RmbgError,
)
from rmbg_service.models import openvino
from rmbg_service.models.graph import Graph
from rmbg_service.models.onnx_runtime import PROVIDERS, OnnxRuntimeSession, check_provider
from rmbg_service.models.predictor import Located, first_line
from rmbg_service.models.spec import ModelSpec
from rmbg_service.models.trial import FormatChoice
from rmbg_service.types import Matte, ModelInput

log = logging.getLogger(__name__)

_DTYPES: dict[str, type[np.floating]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_TOLERANCE = 0.01
"""How far outside [0, 1] a matte may stray before it cannot be one."""

_NO_MEMORY = ("allocate memory", "out of memory", "alloc_failed", "bad_alloc")
_LOST = ("cuda", "cudnn", "cublas", "hip failure", "device")


class OnnxPredictor:
    """Runs the ONNX file that `locate` finds, or fetches; see `Predictor`.

    `spec` describes it until `locate` has seen its bytes. The input's size and dtype come from the
    graph; if the graph leaves the size open, `spec.input_size` holds. The first output is the
    matte, after `spec.activation`. `provider` is one of ONNX Runtime's, `openvino`, or `auto`:
    OpenVINO where it is installed, the CPU computes bfloat16 and the model suits it, else `cpu`.
    `dtype` is for OpenVINO only; the attribute is None where OpenVINO was not considered.
    """

    def __init__(
        self,
        spec: ModelSpec,
        locate: Callable[[], Located],
        provider: str = "cpu",
        threads: int = 1,
        dtype: str = "auto",
    ) -> None:
        known = ("auto", "openvino", *PROVIDERS)
        if provider not in known:
            raise ConfigurationError(f"unknown ONNX provider {provider!r}: {', '.join(known)}")
        self.input_size = spec.input_size
        self.device = "cpu" if provider == "auto" else provider
        self.files: list[Path] = []
        self._spec = spec
        self._locate = locate
        self._provider = provider
        self._threads = threads
        self._dtype_name = dtype
        self._format: FormatChoice | None = None
        self._graph: Graph | None = None
        self._dtype: type[np.floating] = np.float32

    @property
    def name(self) -> str:
        """The model's name in the catalogue, or the file's."""
        return self._spec.name

    @property
    def licence(self) -> str:
        """The licence of the weights."""
        return self._spec.licence

    @property
    def dtype(self) -> str | None:
        """The number format, if OpenVINO was considered; None before `load`."""
        return self._format and self._format.name

    @property
    def dtype_reason(self) -> str | None:
        """Why it is that number format."""
        return self._format and self._format.reason

    @property
    def device_memory_bytes(self) -> int:
        """0: ONNX Runtime does not report what it holds on a GPU."""
        return 0

    def load(self) -> None:
        """Open the file on the provider asked for; only `auto` falls back to another one."""
        if self._provider == "openvino":
            if not openvino.is_installed():
                raise ConfigurationError("OpenVINO is not installed: pip install openvino onnx")
        else:
            check_provider(self.device)
        self._spec, self._path = self._locate()
        self.files = [self._path]
        if openvino.is_candidate(self._provider):
            self._open_in_best_format(self.device)
            log.info("%s on %s: %s (%s)", self.name, self.device, self.dtype, self.dtype_reason)
        else:
            self._open(self.device)

    def warm_up(self) -> None:
        """Predict on noise; refuses a graph whose output is not a matte."""
        height, width = self.input_size
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        try:
            raw = self._run(noise)
        except RmbgError as error:
            raise ConfigurationError(f"{self._path} cannot be used: {error}") from None
        if raw.min() < -_TOLERANCE or raw.max() > 1 + _TOLERANCE:
            raise ConfigurationError(
                f"{self._path}: outputs lie in [{raw.min():.3g}, {raw.max():.3g}], not in [0, 1]; "
                "if they are logits, set RMBG_ONNX_ACTIVATION=sigmoid"
            )

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        """One matte for each input, clipped to [0, 1], never stretched."""
        return [np.clip(self._run(image), 0.0, 1.0) for image in batch]

    def close(self) -> None:
        """Free the graph."""
        self._graph = None

    def _open_in_best_format(self, plain: str) -> None:
        """Open the model in bfloat16 by OpenVINO, or in float32 on the provider `plain`."""
        self._format = openvino.format_by_setting(self._dtype_name) or self._try_bf16(plain)
        if self._graph is None:
            bf16 = self._format.name == "bf16"
            self._open("openvino" if bf16 else plain, self._format.name)

    def _try_bf16(self, plain: str) -> FormatChoice:
        """What suits the model; the two formats are never in memory together."""
        try:
            if self._spec.bf16_measured:
                self._open("openvino", "bf16")
                return FormatChoice("bf16", "auto: measured with this model on photos")
            self._open(plain)
            exact = openvino.run_trial(self.predict, self.input_size)
            blind = openvino.format_without_subject(exact)
            if blind is not None:
                return blind
            self._open("openvino", "bf16")
            rounded = openvino.run_trial(self.predict, self.input_size)
            choice = openvino.format_after_trial(exact, rounded)
        except RmbgError as error:
            # Its text: the error itself would keep the graph of its traceback in memory.
            log.warning("%s: bf16 is not used: %s", self.name, str(error))
            choice = FormatChoice("fp32", f"auto: the trial of bf16 failed: {error}")
        if choice.name == "fp32":
            self._graph = None
        return choice

    def _open(self, device: str, dtype: str = "fp32") -> None:
        """Open the graph in place of the one that is open; `dtype` is for OpenVINO."""
        self._graph = None
        graph: Graph
        try:
            if device == "openvino":
                graph = openvino.OpenVinoSession(self._path, self.input_size, self._threads, dtype)
            else:
                graph = OnnxRuntimeSession(self._path, device, self._threads)
        except ConfigurationError:  # the runtime is at fault
            raise
        except Exception as error:  # the runtimes have a dozen exception types without a base
            raise ConfigurationError(
                f"{self._path} is not a usable ONNX model: {first_line(error)}"
            ) from None
        self._read_signature(graph)
        self.device, self._graph = device, graph

    def _read_signature(self, graph: Graph) -> None:
        shape = graph.inputs[0].shape if len(graph.inputs) == 1 else []
        if len(shape) != 4 or shape[1] not in (3, "C", None) or graph.inputs[0].type not in _DTYPES:
            found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in graph.inputs)
            raise ConfigurationError(
                f"{self._path} needs one float input of shape (1, 3, height, width), has: {found}"
            )
        if not graph.outputs:
            raise ConfigurationError(f"{self._path} has no output")
        height, width = (
            side if isinstance(side, int) and side > 0 else fallback
            for side, fallback in zip(shape[2:], self.input_size, strict=True)
        )
        self.input_size = (height, width)
        self._dtype = _DTYPES[graph.inputs[0].type]

    def _run(self, image: ModelInput) -> Matte:
        assert self._graph is not None, "load() comes first"
        mean = np.asarray(self._spec.mean, np.float32)
        scale = 1.0 / np.asarray(self._spec.std, np.float32)
        # One multiply-add a pixel: (x / 255 - mean) / std.
        normalised = image * (scale / np.float32(255.0)) - mean * scale
        tensor = normalised.transpose(2, 0, 1)[None].astype(self._dtype)
        try:
            output = self._graph.run(np.ascontiguousarray(tensor))
        except Exception as error:
            kind = _kind_of_failure(error, self.device)
            reason = first_line(error)
            raise kind("{model} failed: {reason}", model=self.name, reason=reason) from None
        return self._to_matte(np.asarray(output, dtype=np.float32))

    def _to_matte(self, output: NDArray[np.float32]) -> Matte:
        if output.size != self.input_size[0] * self.input_size[1]:
            raise InferenceError(
                "{model} gave an output of shape {shape}", model=self.name, shape=output.shape
            )
        matte = output.reshape(self.input_size)
        if not np.isfinite(matte).all():
            raise InferenceError("{model} gave a value that is not a number", model=self.name)
        if self._spec.activation == "sigmoid":
            matte = np.reciprocal(1 + np.exp(-matte.clip(-60, 60)), dtype=np.float32)
        return matte


def _kind_of_failure(error: Exception, device: str) -> type[RmbgError]:
    """The runtimes tell their failures apart only by their messages."""
    message = str(error).lower()
    if isinstance(error, MemoryError) or any(text in message for text in _NO_MEMORY):
        return OutOfDeviceMemory
    if device != "cpu" and any(text in message for text in _LOST):
        return DeviceFailure
    return InferenceError
