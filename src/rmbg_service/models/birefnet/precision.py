"""The number format that a BiRefNet computes in, and why.

`auto` stays with float32 on CPUs, also on those with bfloat16 instructions. There, bfloat16 is
nearly twice as fast, but rounding nothing but the weights to it already moves the mattes of the
parity cases by 0.016 on average and by 0.38 at worst. A trained network may take it better:
`rmbg-service doctor` measures that.
"""

import platform
from typing import NamedTuple

import torch

from rmbg_service.errors import ConfigurationError

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Precision(NamedTuple):
    """A number format by its name in `RMBG_DTYPE`, and why it was chosen."""

    name: str
    reason: str

    @property
    def dtype(self) -> torch.dtype:
        """The format as torch calls it."""
        return DTYPES[self.name]


def choose_precision(name: str, device: torch.device) -> Precision:
    """`auto` is float16 on CUDA devices with tensor cores (7.0 and later), else float32.

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
    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, test, bool)() for test in tests)


def _automatic(device: torch.device) -> Precision:
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        if (major, minor) >= (7, 0):
            return Precision("fp16", f"auto: compute capability {major}.{minor}")
        return Precision("fp32", f"auto: compute capability {major}.{minor} is below 7.0")
    if device.type == "cpu" and cpu_computes_bf16():
        return Precision("fp32", "auto: the CPU would compute bf16 faster, but less accurately")
    return Precision("fp32", f"auto: {device.type}")
