"""Where the work around the predictions is done: in threads, or in processes."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Protocol

import cv2

from rmbg_service.errors import ConfigurationError
from rmbg_service.serving.codec.process import CodecProcesses
from rmbg_service.serving.job import Advance, Job, advance
from rmbg_service.settings import Settings
from rmbg_service.system.resources import cpu_count

_LEAST_CPUS = 4


class Codec(Protocol):
    """Does all work on a job but its predictions."""

    def work_on(
        self, job: Job, input_size: tuple[int, int], max_pixels: int
    ) -> AbstractContextManager[Advance]:
        """What advances `job`; to be called in a thread. The arguments are those of `Job.run`."""

    def close(self) -> None:
        """Free what does no work."""


class ThreadCodec:
    """Works in the thread that calls it."""

    @contextmanager
    def work_on(self, job: Job, input_size: tuple[int, int], max_pixels: int) -> Iterator[Advance]:
        """See `Codec`."""
        yield partial(advance, job.run(input_size, max_pixels))

    def close(self) -> None:
        """There is nothing to free."""


def select_codec(settings: Settings, device: str) -> Codec:
    """Threads or processes, for a predictor on `device`; they share the CPUs.

    Raises `ConfigurationError` where processes are asked for and cannot be started.
    """
    # OpenCV would start as many threads as there are CPUs for each image.
    opencv_threads = max(1, cpu_count() // settings.codec_threads)
    cv2.setNumThreads(opencv_threads)
    if not _in_processes(settings, device):
        return ThreadCodec()
    return CodecProcesses(settings.max_decoded_images, opencv_threads)


def _in_processes(settings: Settings, device: str) -> bool:
    supported = os.name == "posix"  # elsewhere a new process cannot be given a socket
    if settings.codec_processes == "auto":
        return supported and device.startswith("cuda") and cpu_count() >= _LEAST_CPUS
    if settings.codec_processes == "on" and not supported:
        raise ConfigurationError("RMBG_CODEC_PROCESSES=on does not work on this system")
    return settings.codec_processes == "on"
