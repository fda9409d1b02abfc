"""OpenVINO, as a provider of ONNX Runtime: its options, and the number format that suits a model.

OpenVINO computes in float32 or bfloat16, whatever the file has. `auto` is bfloat16 if the CPU has
instructions for it, and a trial with this very graph finds that it changes little and saves time.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from rmbg_service.models.reference_image import reference_closeup, reference_input
from rmbg_service.models.trial import Difference, FormatChoice, choose_format
from rmbg_service.system.resources import x86_computes_bf16
from rmbg_service.types import Matte, ModelInput

log = logging.getLogger(__name__)

LONG_S = 1.0
"""CPU seconds of a prediction above which the trial has no second image, for a quick start."""

_SUBJECT = (0.01, 0.99)
"""Between these shares of foreground, a matte shows a subject."""


class Trial(NamedTuple):
    """Mattes of the trial images, and the CPU seconds of the fastest prediction."""

    mattes: list[Matte]
    cpu_s: float


def provider_options(threads: int, dtype: str) -> dict[str, str]:
    """What ONNX Runtime passes on to OpenVINO, which has threads of its own."""
    config = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    return {"device_type": "CPU", "load_config": json.dumps({"CPU": config})}


def read_for_bf16(path: Path) -> Path | bytes:
    """The model in `path` without its large biases; the path itself if it has none."""
    import onnx  # an optional dependency

    from rmbg_service.models.bias_absorption import absorb_large_biases

    model = onnx.load(path)
    absorbed = absorb_large_biases(model)
    log.info("%s: absorbed the large biases of %d convolutions", path.name, absorbed)
    return model.SerializeToString() if absorbed else path


def can_rewrite() -> bool:
    """Whether the package that `read_for_bf16` needs is installed."""
    return find_spec("onnx") is not None


def format_by_setting(name: str) -> FormatChoice | None:
    """The format if it is settled without a trial; `name` is that in `RMBG_DTYPE`."""
    if name == "fp16":
        return FormatChoice("fp32", "OpenVINO is not used in fp16, which RMBG_DTYPE asks for")
    if name != "auto":
        return FormatChoice(name, "set by RMBG_DTYPE")
    if not x86_computes_bf16():
        return FormatChoice("fp32", "auto: this CPU has no known instructions for bf16")
    if not can_rewrite():
        return FormatChoice("fp32", "auto: bf16 needs the package onnx: pip install onnx")
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
