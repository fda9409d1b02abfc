"""How much memory the limits on the work in flight allow, and which limits fit a machine."""

from typing import NamedTuple

from rmbg_service.system.resources import cpu_count, has_gpu, memory_limit_bytes

BYTES_PER_PIXEL = 20
"""Peak memory of a job for each pixel of its image, all stages; see docs/configuration.md."""
WORKING_BYTES = 100_000_000
"""Arrays of fixed size that a codec thread works on."""
RESULT_BYTES_PER_PIXEL = 4
"""A result that waits for its client: RGBA that does not compress."""
BODY_BYTES = 40_000_000
"""The default limit of a request body."""

CODEC_PROCESS_BYTES = 50_000_000
"""A codec process without an image."""

_PARSING_COPIES = 3  # of a body: base64 without escapes, without blanks, what it decodes to
_PIXEL_FACTOR = 3  # a PSD; others count double, some with a border around
_PROCESS_BYTES = 600_000_000  # the process with the embedded model, and the system around it
_BODIES_SHARE = 0.25  # of the memory for jobs
_MIN_PIXELS = 12_000_000  # a photo of a phone


class JobLimits(NamedTuple):
    """Limits on the admitted jobs: their number, all their pixels, and those of one image."""

    jobs: int
    pixels: int
    image_pixels: int


LIMITS = JobLimits(16, 120_000_000, 50_000_000)
"""The default limits of a machine with enough memory."""


def peak_bytes(limits: JobLimits, decoded_images: int, threads: int, body_bytes: int) -> int:
    """The most memory that admitted jobs can take: pixels, working arrays, results and bodies.

    At most `decoded_images` are held decoded at once, by `threads` codec threads.
    """
    decoded = min(limits.pixels, decoded_images * _PIXEL_FACTOR * limits.image_pixels)
    images = decoded * BYTES_PER_PIXEL + limits.pixels * RESULT_BYTES_PER_PIXEL
    return images + threads * WORKING_BYTES + (limits.jobs + _PARSING_COPIES) * body_bytes


def default_codec_threads() -> int:
    """The CPUs of this process: at most 4, or 16 beside a GPU, which predicts much faster."""
    return min(16 if has_gpu() else 4, cpu_count())


def default_limits() -> JobLimits:
    """`LIMITS`, or less if this process may not use enough memory for them.

    There is always a job, and an image may have 12 MP, even if that does not fit.
    """
    memory = memory_limit_bytes()
    if memory is None:
        return LIMITS
    threads = default_codec_threads()
    processes = (threads + 1) * CODEC_PROCESS_BYTES if has_gpu() else 0
    fitting = fitting_limits(memory, threads, BODY_BYTES, _PROCESS_BYTES + processes)
    jobs, pixels, image = fitting
    return JobLimits(max(jobs, 1), max(pixels, _MIN_PIXELS), max(image, _MIN_PIXELS))


def fitting_limits(
    memory_bytes: int, threads: int, body_bytes: int, process_bytes: int = 0
) -> JobLimits:
    """The largest limits up to `LIMITS` whose jobs fit into the memory beside the process.

    0 jobs or pixels say that none fit.
    """
    free = memory_bytes - max(process_bytes, _PROCESS_BYTES)
    bodies = int(free * _BODIES_SHARE // body_bytes) - _PARSING_COPIES
    jobs = max(0, min(LIMITS.jobs, bodies))
    left = free - peak_bytes(JobLimits(jobs, 0, 0), 0, threads, body_bytes)
    megapixels = max(0, left // (BYTES_PER_PIXEL + RESULT_BYTES_PER_PIXEL) // 1_000_000)
    pixels = min(LIMITS.pixels, megapixels * 1_000_000)
    return JobLimits(jobs, pixels, min(LIMITS.image_pixels, pixels))
