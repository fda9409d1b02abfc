"""Any single-input background-removal network in an ONNX file, run by ONNX Runtime."""

import logging
import os
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
from rmbg_service.models.predictor import Located, first_line
from rmbg_service.models.spec import ModelSpec
from rmbg_service.models.trial import FormatChoice
from rmbg_service.types import Matte, ModelInput

# Read when the library is loaded; without it ONNX Runtime reports its use to Microsoft.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

log = logging.getLogger(__name__)

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "rocm": "ROCMExecutionProvider",
}
_PACKAGES = {
    "cuda": "onnxruntime-gpu",
    "tensorrt": "onnxruntime-gpu",
    "openvino": "onnxruntime-openvino",
}
GPU_PROVIDERS = ("cuda", "tensorrt", "rocm", "directml")
_DTYPES: dict[str, type[np.floating]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_TOLERANCE = 0.01
"""How far outside [0, 1] a matte may stray before it cannot be one."""


class OnnxPredictor:
    """Runs the ONNX file that `locate` finds, or fetches; see `Predictor`.

    `spec` describes it until `locate` has seen its bytes. The input's size and dtype come from the
    graph; if the graph leaves the size open, `spec.input_size` holds. The first output is the
    matte, after `spec.activation`. `dtype` is for OpenVINO only, see `models/openvino.py`; the
    attribute is None for the other providers, which compute in the file's.
    """

    def __init__(
        self,
        spec: ModelSpec,
        locate: Callable[[], Located],
        provider: str = "cpu",
        threads: int = 1,
        dtype: str = "auto",
    ) -> None:
        if provider not in PROVIDERS:
            raise ConfigurationError(f"unknown ONNX provider {provider!r}: {', '.join(PROVIDERS)}")
        self.input_size = spec.input_size
        self.device = provider
        self.files: list[Path] = []
        self._spec = spec
        self._locate = locate
        self._threads = threads
        self._dtype_name = dtype
        self._format = FormatChoice("fp32", "not loaded") if provider == "openvino" else None
        self._session: ort.InferenceSession | None = None
        self._input_name = self._output_name = ""
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
        """In which number format OpenVINO computes; final after `load`."""
        return self._format and self._format.name

    @property
    def dtype_reason(self) -> str | None:
        """Why OpenVINO computes in that number format; final after `load`."""
        return self._format and self._format.reason

    @property
    def device_memory_bytes(self) -> int:
        """0: ONNX Runtime does not report what it holds on a GPU."""
        return 0

    def load(self) -> None:
        """Open the file on the provider asked for; no other one is fallen back to."""
        _check_provider(self.device)
        with_openvino = self.device == "openvino"
        if with_openvino and self._dtype_name == "bf16" and not openvino.can_rewrite():
            raise ConfigurationError("RMBG_DTYPE=bf16 needs the package onnx: pip install onnx")
        if self.device in ("cuda", "tensorrt") and hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # CUDA and cuDNN lie in the packages that PyTorch has installed
        self._spec, self._path = self._locate()
        self.files = [self._path]
        if with_openvino:
            self._format = openvino.format_by_setting(self._dtype_name)
            if self._format is None:
                self._format = self._try_formats()
            else:
                self._open(self._format.name)
            log.info("%s on %s: %s (%s)", self.name, self.device, self.dtype, self.dtype_reason)
        else:
            self._open()

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
        """Free the session."""
        self._session = None

    def _try_formats(self) -> FormatChoice:
        """Open the model in the format that suits it; the two are never in memory together."""
        self._open("fp32")
        try:
            exact = openvino.run_trial(self.predict, self.input_size)
            blind = openvino.format_without_subject(exact)
            if blind is not None:
                return blind
            self._open("bf16")
            rounded = openvino.run_trial(self.predict, self.input_size)
            choice = openvino.format_after_trial(exact, rounded)
        except RmbgError as error:
            choice = FormatChoice("fp32", f"auto: the trial of bf16 failed: {error}")
        if choice.name == "fp32":
            self._open("fp32")
        return choice

    def _open(self, dtype: str = "fp32") -> None:
        """Start a session in place of the one there is; `dtype` is for OpenVINO."""
        self._session = None
        provider = PROVIDERS[self.device]
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        options.enable_mem_pattern = False  # 200 MB less for u2netp, at the same speed
        # Spinning threads would burn the cores that decode and encode the neighbour jobs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            choice = (provider, self._provider_options(dtype))
            graph = openvino.read_for_bf16(self._path) if dtype == "bf16" else self._path
            session = ort.InferenceSession(graph, options, providers=[choice])
            session.disable_fallback()
        except Exception as error:  # ONNX Runtime has a dozen exception types without a base
            raise ConfigurationError(
                f"{self._path} is not a usable ONNX model: {first_line(error)}"
            ) from None
        if provider not in session.get_providers():
            raise ConfigurationError(f"ONNX provider {self.device!r} could not be started")
        self._read_graph(session)
        self._session = session

    def _provider_options(self, dtype: str) -> dict[str, str]:
        if self.device != "openvino":
            return {}
        return openvino.provider_options(self._threads, dtype)

    def _read_graph(self, session: ort.InferenceSession) -> None:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or shape[1] not in (3, "C", None) or inputs[0].type not in _DTYPES:
            found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise ConfigurationError(
                f"{self._path} needs one float input of shape (1, 3, height, width), has: {found}"
            )
        if not outputs:
            raise ConfigurationError(f"{self._path} has no output")
        height, width = (
            side if isinstance(side, int) and side > 0 else fallback
            for side, fallback in zip(shape[2:], self.input_size, strict=True)
        )
        self.input_size = (height, width)
        self._input_name, self._output_name = inputs[0].name, outputs[0].name
        self._dtype = _DTYPES[inputs[0].type]

    def _run(self, image: ModelInput) -> Matte:
        assert self._session is not None, "load() comes first"
        mean = np.asarray(self._spec.mean, np.float32)
        scale = 1.0 / np.asarray(self._spec.std, np.float32)
        # One multiply-add a pixel: (x / 255 - mean) / std.
        normalised = image * (scale / np.float32(255.0)) - mean * scale
        tensor = normalised.transpose(2, 0, 1)[None].astype(self._dtype)
        try:
            feed = {self._input_name: np.ascontiguousarray(tensor)}
            output = self._session.run([self._output_name], feed)[0]
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


def _check_provider(device: str) -> None:
    """Refuse a provider that this build lacks, and say if it has a faster one that is not used."""
    available = ort.get_available_providers()
    if PROVIDERS[device] not in available:
        remedy = ""
        if device in _PACKAGES:
            remedy = (
                "; both builds share files, so: pip uninstall --yes onnxruntime && pip install"
                f" --force-reinstall --no-deps {_PACKAGES[device]}"
            )
        raise ConfigurationError(
            f"ONNX provider {device!r} is not in this build of ONNX Runtime, which has"
            f" {', '.join(available)}{remedy}"
        )
    unused = [name for name in GPU_PROVIDERS if PROVIDERS[name] in available]
    if device == "cpu" and unused:
        log.warning(
            "ONNX Runtime can use a GPU, but RMBG_ONNX_PROVIDER=cpu: set it to %s",
            " or ".join(unused),
        )


def _kind_of_failure(error: Exception, device: str) -> type[RmbgError]:
    """ONNX Runtime tells its failures apart only by their messages."""
    message = str(error).lower()
    exhausted = "allocate memory" in message or "out of memory" in message
    if exhausted or isinstance(error, MemoryError):
        return OutOfDeviceMemory
    if device != "cpu" and any(word in message for word in ("cuda", "cudnn", "cublas", "device")):
        return DeviceFailure
    return InferenceError
