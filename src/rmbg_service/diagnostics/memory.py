"""Whether the limits on the work in flight fit the memory of the machine."""

import logging

from rmbg_service.errors import ConfigurationError
from rmbg_service.settings import Settings
from rmbg_service.system.memory_budget import (
    CODEC_PROCESS_BYTES,
    JobLimits,
    fitting_limits,
    peak_bytes,
)
from rmbg_service.system.resources import has_gpu, memory_limit_bytes, resident_bytes

log = logging.getLogger(__name__)

_SMALL_BODY_BYTES = 10_000_000


def check_memory(settings: Settings) -> None:
    """Log the limits and the memory they allow. Raises `ConfigurationError` if it is not there."""
    process, memory = resident_bytes() + codec_process_bytes(settings), memory_limit_bytes()
    log.info(
        "limits: %d jobs with %g MP, %g MP per image; memory: %d MB + %d MB for the jobs, of %s MB",
        settings.max_inflight_jobs,
        settings.max_inflight_pixels / 1e6,
        settings.max_image_pixels / 1e6,
        process / 1e6,
        peak_job_bytes(settings) / 1e6,
        "unknown" if memory is None else memory // 1_000_000,
    )
    problem = memory_problem(settings, process, memory)
    if problem is not None:
        raise ConfigurationError(problem)


def peak_job_bytes(settings: Settings) -> int:
    """Memory that the admitted jobs can take at the most: pixels, results and bodies."""
    pixels = settings.max_inflight_pixels, settings.max_image_pixels
    limits = JobLimits(settings.max_inflight_jobs, *pixels)
    sizes = settings.max_decoded_images, settings.codec_threads, settings.max_body_bytes
    return peak_bytes(limits, *sizes)


def codec_process_bytes(settings: Settings) -> int:
    """Memory of the codec processes, if there are or may be any."""
    in_processes = settings.codec_processes
    if in_processes == "off" or (in_processes == "auto" and not has_gpu()):
        return 0
    return settings.max_decoded_images * CODEC_PROCESS_BYTES


def memory_problem(settings: Settings, process_bytes: int, memory_bytes: int | None) -> str | None:
    """Why the jobs do not fit beside the process, and settings that do; None if they fit."""
    needed = process_bytes + peak_job_bytes(settings)
    if memory_bytes is None or needed <= memory_bytes:
        return None
    problem = (
        f"the limits allow {needed / 1e9:.1f} GB, but only {memory_bytes / 1e9:.1f} GB of memory "
        "are available"
    )
    body_bytes = settings.max_body_bytes
    for threads, body in (
        (settings.codec_threads, body_bytes),
        (1, min(body_bytes, _SMALL_BODY_BYTES)),
    ):
        limits = fitting_limits(memory_bytes, threads, body, process_bytes)
        if limits.jobs and limits.pixels:
            values = {
                "MAX_INFLIGHT_JOBS": limits.jobs,
                "MAX_INFLIGHT_PIXELS": limits.pixels,
                "MAX_IMAGE_PIXELS": limits.image_pixels,
                "MAX_BODY_BYTES": body,
                "CODEC_THREADS": threads,
            }
            fitting = " ".join(f"RMBG_{name}={value}" for name, value in values.items())
            return f"{problem}; this would fit: {fitting}"
    return f"{problem}: give the service more memory"
