"""The process's side: works on one job after the other until the service closes the socket."""

import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import cv2

from rmbg_service.errors import RmbgError
from rmbg_service.removal.passes import Passes
from rmbg_service.removal.result import Encoded
from rmbg_service.serving.codec.messages import Begin, Forget, Resume, StillWanted, Timing
from rmbg_service.serving.job import CodecWork, Step, advance
from rmbg_service.serving.logs import silence_libraries
from rmbg_service.serving.timings import Stage, StageTimings
from rmbg_service.system.resources import lower_thread_priority
from rmbg_service.types import Matte


def main() -> None:
    """Serve the socket that the first argument names; the second is OpenCV's threads."""
    descriptor, opencv_threads = map(int, sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the service, which ends this process
        signal.signal(number, signal.SIG_IGN)
    silence_libraries()
    lower_thread_priority()
    cv2.setNumThreads(opencv_threads)
    with Connection(descriptor) as pipe, suppress(EOFError, ConnectionError):
        serve(pipe)


def serve(pipe: Connection) -> None:
    """Work until the other side closes the socket, which raises `EOFError` or `ConnectionError`."""
    timings = _ReportedTimings(pipe)
    passes: Passes[Encoded] | None = None
    while True:
        match pipe.recv():
            case Begin(fields, input_size, max_pixels):
                timings = _ReportedTimings(pipe)
                work = _RemoteWork(**fields, timings=timings, pipe=pipe)
                passes = work.run(input_size, max_pixels)
                del fields, work  # they hold the file, which the work drops once it is decoded
                answer = _step(passes, None)
            case Resume(mattes, seconds) if passes is not None:
                timings.seconds = seconds
                answer = _step(passes, mattes)
                del mattes
            case Forget():
                passes = None
                continue
        if isinstance(answer, Encoded | Exception):
            passes = None
        pipe.send(answer)
        del answer


def _step(passes: Passes[Encoded], mattes: Sequence[Matte] | None) -> Step | Exception:
    try:
        return advance(passes, mattes)
    except RmbgError as error:
        return error.with_traceback(None)
    except Exception as error:
        error.add_note(traceback.format_exc())  # the traceback itself cannot be sent
        return error.with_traceback(None)


class _ReportedTimings(StageTimings):
    """Timings of which the service hears at once."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self._pipe = pipe

    def add(self, stage: Stage, seconds: float) -> None:
        super().add(stage, seconds)
        self._pipe.send(Timing(stage, seconds))

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        self._pipe.send(Timing(stage))
        with super().measure(stage):
            yield


@dataclass(eq=False, kw_only=True)
class _RemoteWork(CodecWork):
    """Work that asks the service whether anybody still waits for it."""

    pipe: Connection

    def check(self) -> None:
        self.pipe.send(StillWanted())
        self.abandoned = not self.pipe.recv()
        super().check()
