"""The number format that a BiRefNet computes in, and why.

On a CPU with instructions for bfloat16, `auto` asks the weights: see `trial.py`.
"""

import platform

import torch

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.trial import Difference, FormatChoice, choose_format

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Precision(FormatChoice):
    """A number format, and why it was chosen."""

    @property
    def dtype(self) -> torch.dtype:
        """The format as torch calls it."""
        return DTYPES[self.name]


def choose_precision(name: str, device: torch.device) -> Precision:
    """`auto` is float16 on CUDA devices with tensor cores (7.0 and later), else float32.

    `after_trial` has the last word if `needs_trial`.

    float16 rather than bfloat16: it has eight times the precision, the authors publish it as
    lossless for this network, and an overflow is found in the output and reported.
    """
    if name == "auto":
        return _automatic(device)
    if name not in DTYPES:
        raise ConfigurationError(f"RMBG_DTYPE={name} is not one of auto, {', '.join(DTYPES)}")
    if device.type == "cpu" and name == "fp16":
        raise ConfigurationError("RMBG_DTYPE=fp16 needs an accelerator: use auto or fp32 on a CPU")
    if device.type == "cpu" and name == "bf16" and not cpu_computes_bf16():
        return Precision(name, "set by RMBG_DTYPE; this CPU only emulates it, slowly")
    return Precision(name, "set by RMBG_DTYPE")


def cpu_computes_bf16() -> bool:
    """Whether this CPU has instructions for bfloat16: AMX, AVX512_BF16 or Arm's BF16."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return cpu_has_amx() or _cpu_reports("_is_avx512_bf16_supported")


def cpu_has_amx() -> bool:
    """Whether this CPU has matrix units of the x86 kind."""
    return _cpu_reports("_is_amx_tile_supported")


def _cpu_reports(test: str) -> bool:
    """What a test of PyTorch's says, which not every release and platform has."""
    return bool(getattr(torch.cpu, test, bool)())


def needs_trial(name: str, device: torch.device) -> bool:
    """Whether `auto` is bfloat16 if that changes little."""
    return name == "auto" and device.type == "cpu" and cpu_computes_bf16()


def after_trial(difference: Difference) -> Precision:
    """What `auto` is on a CPU that computes bfloat16, given how bfloat16 changes a matte."""
    return Precision(*choose_format(difference))


def _automatic(device: torch.device) -> Precision:
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        if (major, minor) >= (7, 0):
            return Precision("fp16", f"auto: compute capability {major}.{minor}")
        return Precision("fp32", f"auto: compute capability {major}.{minor} is below 7.0")
    return Precision("fp32", f"auto: {device.type}")
