"""Examine the configured model on this machine: load it, measure it, say what to change."""

import statistics
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from rmbg_service.diagnostics.findings import Findings, Matting, OtherFormat, OtherOrder, WeightFile
from rmbg_service.diagnostics.memory import codec_process_bytes, memory_problem, peak_job_bytes
from rmbg_service.diagnostics.quality import (
    MIN_IOU,
    measure_quality,
    quality_of,
)
from rmbg_service.errors import RmbgError
from rmbg_service.models.digests import digests
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.reference_image import reference_input
from rmbg_service.models.select import select_predictor
from rmbg_service.models.with_matting import matting_of
from rmbg_service.settings import PatchOrder, Settings
from rmbg_service.system.resources import (
    accelerators,
    cpu_count,
    memory_limit_bytes,
    resident_bytes,
    x86_computes_bf16,
)
from rmbg_service.types import Matte

RUNS = 3
CLOSE_IOU = 0.02
"""Two qualities this close do not tell which is better."""
SMALL_DIFFERENCE = 0.002
"""Half a level of 255: mattes this close on average look the same."""
FASTER = 0.75
"""A format is worth a hint when it takes at most this part of the time."""


def examine(settings: Settings) -> Findings:
    """Everything that `Findings` holds. An error of the model becomes a problem, not an exception.

    Raises `ConfigurationError` when `settings.model` names no model, or one whose licence is not
    accepted.
    """
    predictor = select_predictor(settings)
    findings = Findings(predictor.name, predictor.licence, accelerators(), settings.cpu_threads)
    try:
        with closing(predictor):
            matte = _measure(predictor, findings)
        _compare_orders(settings, findings)
        _compare_formats(settings, findings, matte)
    except RmbgError as error:
        findings.problems.append(str(error))
    _judge_machine(settings, findings)
    _judge_quality(findings)
    return findings


def _measure(predictor: Predictor, findings: Findings) -> Matte:
    """Load the model and predict the reference image; its matte."""
    started = time.perf_counter()
    predictor.load()
    findings.load_s = time.perf_counter() - started
    findings.model, findings.licence = predictor.name, predictor.licence
    findings.device = predictor.device
    # Facts that only some predictors tell.
    findings.files = [_weight_file(path) for path in getattr(predictor, "files", [])]
    findings.dtype = getattr(predictor, "dtype", None)
    findings.dtype_reason = getattr(predictor, "dtype_reason", None)
    findings.patch_order = getattr(predictor, "patch_order", None)
    predictor.warm_up()
    matte, findings.predict_s = _timed(predictor)
    findings.quality = quality_of(matte)
    findings.matting = _measure_matting(predictor)
    findings.resident_bytes = resident_bytes()
    findings.device_memory_bytes = predictor.device_memory_bytes
    return matte


def _measure_matting(predictor: Predictor) -> Matting | None:
    matting = matting_of(predictor)
    if matting is None:
        return None
    started = time.perf_counter()
    matting.warm_up()
    seconds = time.perf_counter() - started
    return Matting(matting.name, matting.licence, getattr(matting, "dtype", None), seconds)


def _compare_orders(settings: Settings, findings: Findings) -> None:
    if findings.patch_order is None:
        return
    other: PatchOrder = "wg_hg_c" if findings.patch_order.order == "c_hg_wg" else "c_hg_wg"
    with closing(_variant(settings, patch_order=other)) as predictor:
        predictor.load()
        findings.other_order = OtherOrder(other, measure_quality(predictor))


def _compare_formats(settings: Settings, findings: Findings, matte: Matte) -> None:
    """The model in float32, or in the device's 16-bit formats where it runs in float32."""
    if findings.dtype is None or findings.device is None:
        return
    sixteen_bits = ("bf16",) if findings.device in ("cpu", "openvino") else ("fp16", "bf16")
    for dtype in sixteen_bits if findings.dtype == "fp32" else ("fp32",):
        try:
            with closing(_variant(settings, dtype=dtype)) as predictor:
                predictor.load()
                predictor.warm_up()
                other, seconds = _timed(predictor)
        except RmbgError as error:  # the format in use serves all the same
            findings.hints.append(
                f"{_runtime(findings)} serves in {findings.dtype}, which could not be compared with"
                f" {dtype}: {error}"
            )
            continue
        difference = np.abs(other - matte)
        mean, worst = float(difference.mean(dtype=np.float64)), float(difference.max())
        findings.other_formats.append(OtherFormat(dtype, mean, worst, seconds))


def _runtime(findings: Findings) -> str:
    if findings.device == "openvino":
        return "OpenVINO"
    return "ONNX Runtime" if findings.patch_order is None else "PyTorch"


def _judge_machine(settings: Settings, findings: Findings) -> None:
    if findings.device in ("cpu", "openvino") and findings.accelerators:
        _report_idle_accelerator(settings, findings)
    if findings.device == "cpu" and findings.dtype is None and x86_computes_bf16():
        findings.hints.append(
            "this CPU computes bfloat16, in which OpenVINO predicts twice as fast: install the "
            "extra openvino, and set RMBG_ONNX_PROVIDER=auto"
        )
    if settings.cpu_threads > cpu_count():
        findings.problems.append(
            f"RMBG_CPU_THREADS is {settings.cpu_threads}, but the CPUs are {cpu_count()}: lower it"
        )
    findings.limit_bytes = memory_limit_bytes()
    if findings.resident_bytes is None:
        return
    before_jobs = findings.resident_bytes + codec_process_bytes(settings)
    findings.needed_bytes = before_jobs + peak_job_bytes(settings)
    problem = memory_problem(settings, before_jobs, findings.limit_bytes)
    if problem is not None:
        findings.problems.append(problem)


def _report_idle_accelerator(settings: Settings, findings: Findings) -> None:
    """A problem where the accelerator was asked for, a hint where the CPU was."""
    idle = f"the model runs on the CPU, but this machine has: {', '.join(findings.accelerators)}"
    if findings.patch_order is None:  # not BiRefNet
        advice = "set RMBG_ONNX_PROVIDER, and install ONNX Runtime built for it"
        findings.hints.append(f"{idle}: {advice}")
    elif settings.device == "cpu":
        findings.hints.append(f"{idle}: set RMBG_DEVICE=auto")
    else:
        findings.problems.append(f"{idle}: install PyTorch built for it, or set RMBG_DEVICE=cpu")


def _judge_quality(findings: Findings) -> None:
    quality, other = findings.quality, findings.other_order
    if quality is None:
        return
    if other is not None and other.quality.iou > quality.iou + CLOSE_IOU:
        findings.problems.append(
            f"the patch order {other.order} cuts out better: set RMBG_PATCH_ORDER={other.order}"
        )
    elif not quality.sufficient:
        findings.problems.append(
            f"the reference image is not cut out (IoU {quality.iou:.3f}, expected {MIN_IOU}): the "
            "weights are damaged or untrained, or the normalisation does not fit; compare the "
            "digest with its source, and RMBG_ONNX_MEAN and RMBG_ONNX_STD for an .onnx file"
        )
    for format_ in findings.other_formats:
        small = format_.mean <= SMALL_DIFFERENCE
        if findings.dtype != "fp32" and not small:
            findings.problems.append(
                f"{findings.dtype} changes the matte by {format_.mean:.4f} on average: set "
                "RMBG_DTYPE=fp32"
            )
        elif findings.dtype == "fp32" and small and _faster(format_, findings):
            findings.hints.append(
                f"{format_.dtype} is faster and changes little: RMBG_DTYPE={format_.dtype}"
            )


def _faster(format_: OtherFormat, findings: Findings) -> bool:
    return findings.predict_s is not None and format_.predict_s <= FASTER * findings.predict_s


def _timed(predictor: Predictor) -> tuple[Matte, float]:
    """The matte of the reference image, and the median seconds of `RUNS` predictions."""
    image, seconds = reference_input(predictor.input_size), []
    for _ in range(RUNS):
        started = time.perf_counter()
        (matte,) = predictor.predict([image])
        seconds.append(time.perf_counter() - started)
    return matte, statistics.median(seconds)


def _variant(settings: Settings, **changes: Any) -> Predictor:
    return select_predictor(settings.model_copy(update={"matting_model": None, **changes}))


def _weight_file(path: Path) -> WeightFile:
    return WeightFile(str(path), path.stat().st_size, digests(path).sha256)
