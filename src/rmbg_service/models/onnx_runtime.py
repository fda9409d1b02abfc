"""ONNX Runtime: opens a graph on one of its execution providers."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.graph import GraphInput

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
    "rocm": "ROCMExecutionProvider",
}
_GPU_PROVIDERS = ("cuda", "tensorrt", "rocm", "directml")


class OnnxRuntimeSession:
    """A graph on one provider; see `Graph`. No other provider is fallen back to."""

    def __init__(self, path: Path, provider: str, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.enable_mem_pattern = False  # 200 MB less for u2netp, at the same speed
        # Spinning threads would burn the cores that decode and encode the neighbour jobs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if provider in ("cuda", "tensorrt") and hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # CUDA and cuDNN lie in the packages that PyTorch has installed
        self._session = ort.InferenceSession(path, options, providers=[PROVIDERS[provider]])
        self._session.disable_fallback()
        if PROVIDERS[provider] not in self._session.get_providers():
            raise ConfigurationError(
                f"ONNX provider {provider!r} does not start: a library or the device is missing;"
                " ONNX Runtime has reported which"
            )
        self.inputs: Sequence[GraphInput] = [
            GraphInput(each.name, each.type, each.shape) for each in self._session.get_inputs()
        ]
        self._names = [each.name for each in self._session.get_outputs()]
        self.outputs = len(self._names)

    def run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The first output."""
        (first,) = self._session.run(self._names[:1], {self.inputs[0].name: tensor})
        return np.asarray(first)


def check_provider(provider: str) -> None:
    """Refuse a provider that this build lacks, and say if it has a faster one that is not used."""
    available = ort.get_available_providers()
    if PROVIDERS[provider] not in available:
        remedy = ""
        if provider in ("cuda", "tensorrt"):
            remedy = (
                "; both builds share files, so: pip uninstall --yes onnxruntime && pip install"
                " --force-reinstall --no-deps onnxruntime-gpu"
            )
        raise ConfigurationError(
            f"ONNX provider {provider!r} is not in this build of ONNX Runtime, which has"
            f" {', '.join(available)}{remedy}"
        )
    unused = [name for name in _GPU_PROVIDERS if PROVIDERS[name] in available]
    if provider == "cpu" and unused:
        log.warning(
            "ONNX Runtime can use a GPU, but the model runs on the CPU: set RMBG_ONNX_PROVIDER=%s",
            " or ".join(unused),
        )
