"""The service's side of the processes for the work around the predictions.

Threads of one process wait for the interpreter between hundreds of short calls of numpy and OpenCV,
so that on many cores more threads get no more done. Processes do not wait for each other. What
crashes or hangs in one of them, such as a decoder, costs that image only.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from functools import partial
from multiprocessing.connection import Connection
from typing import cast

from rmbg_service.errors import ConfigurationError, RmbgError
from rmbg_service.serving.codec.messages import (
    Begin,
    Forget,
    Resume,
    Started,
    StillWanted,
    Timing,
)
from rmbg_service.serving.job import Advance, CodecWork, Job, Step, no_memory
from rmbg_service.types import Matte

log = logging.getLogger(__name__)

_CHILD = "from rmbg_service.serving.codec.child import main; main()"


class CodecCrashed(RmbgError):
    """The process that worked on the image has ended."""


class CodecProcesses:
    """As many processes as there may be jobs at a time.

    Raises `ConfigurationError` if the system does not start them.
    """

    def __init__(self, count: int, opencv_threads: int) -> None:
        self._start = partial(CodecProcess, opencv_threads)
        self._free: list[CodecProcess | None] = []
        self._at_work: set[CodecProcess] = set()
        try:
            for _ in range(count):
                self._free.append(self._start())
        except OSError as error:
            self.close()
            raise _not_started(error) from None

    async def wait_until_ready(self) -> None:
        """Wait for the first process. Raises `ConfigurationError` if it ends instead."""
        first = self._free[0]
        try:
            if first is not None:
                await asyncio.to_thread(first.wait_until_ready)
        except BaseException:  # also if the service is told to end
            self.close()
            raise

    @contextmanager
    def work_on(self, job: Job, input_size: tuple[int, int], max_pixels: int) -> Iterator[Advance]:
        """A process for `job`; call what is yielded in a thread.

        Raises `OutOfMemory` if it needs a new process and the system does not start one.
        """
        process = self._free.pop()
        try:
            if process is None or process.has_ended:
                process = self._replacement()
            self._at_work.add(process)
            yield partial(process.advance, job, input_size, max_pixels)
        finally:
            self._free.append(self._kept(process) if process else None)

    def close(self) -> None:
        """End all processes, also those at work."""
        for process in self._at_work:
            process.kill()
        for process in filter(None, self._free):
            process.close()

    def _replacement(self) -> "CodecProcess":
        try:
            return self._start()
        except OSError as error:
            log.error("a codec process does not start: %s", error)
            raise no_memory() from None

    def _kept(self, process: "CodecProcess") -> "CodecProcess | None":
        """The process for the next job; None if it is of no use any more."""
        self._at_work.discard(process)
        if process.usable:
            process.forget()
            return process
        process.kill()
        return None


class CodecProcess:
    """A process that starts at once, and takes its first job about a second later."""

    def __init__(self, opencv_threads: int) -> None:
        ours, theirs = socket.socketpair()
        path = os.pathsep.join(map(os.path.abspath, sys.path))  # it imports what this process does
        arguments = [str(theirs.fileno()), str(opencv_threads)]
        with ours, theirs, _signals_blocked():
            self._process = subprocess.Popen(
                [sys.executable or "", "-P", "-X", "faulthandler", "-c", _CHILD, *arguments],
                env=os.environ | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
            self._pipe = Connection(ours.detach())
        self.pid = self._process.pid
        self.usable = True
        """Whether it lives and waits for a job, or for the mattes of one."""

    @property
    def has_ended(self) -> bool:
        """Whether something has ended it, such as the kernel for want of memory."""
        return self._process.poll() is not None

    def wait_until_ready(self) -> None:
        """Wait until it can take its first job. Raises `ConfigurationError` if it ends instead."""
        try:
            self._pipe.recv()
        except (EOFError, OSError):
            raise _not_started(self._ending()) from None

    def advance(
        self,
        job: Job,
        input_size: tuple[int, int],
        max_pixels: int,
        mattes: Sequence[Matte] | None,
    ) -> Step:
        """See `job.Advance`. Also raises `CodecCrashed`, and `OutOfMemory` if it was killed."""
        self.usable = False
        try:
            if mattes is None:
                self._pipe.send(Begin(_handed_over(job), input_size, max_pixels))
            else:
                self._pipe.send(Resume(mattes, job.timings.seconds))
            answer = self._answer(job)
        except (EOFError, OSError):  # an OSError if it ends in the middle of a message
            log.error("a codec process has ended: %s", self._ending())
            if self._process.returncode == -signal.SIGKILL:
                raise no_memory() from None
            raise CodecCrashed("the process that worked on this image has crashed") from None
        self.usable = True
        if isinstance(answer, Exception):
            raise answer
        return answer

    def forget(self) -> None:
        """Drop the job, if it has not ended."""
        with suppress(OSError):
            self._pipe.send(Forget())

    def kill(self) -> None:
        """End it, whatever it does; a thread that waits for it returns."""
        self._process.kill()

    def close(self) -> None:
        """End it; for a process without a job."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()

    def _ending(self) -> str:
        """How it has ended."""
        status = self._process.wait()
        return f"exit status {status}" if status >= 0 else f"{signal.strsignal(-status)}"

    def _answer(self, job: Job) -> Step | Exception:
        while True:
            match self._pipe.recv():
                case Started():
                    pass
                case StillWanted():
                    self._pipe.send(not job.abandoned)
                case Timing(stage, None):
                    job.timings.stage = stage
                case Timing(stage, float(seconds)):
                    job.timings.add(stage, seconds)
                case answer:
                    return cast("Step | Exception", answer)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """A process that is started in the block never sees these signals.

    They may go to all processes of a terminal or a systemd unit; the service ends the others.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _not_started(reason: object) -> ConfigurationError:
    return ConfigurationError(
        "the codec processes do not start: {reason}; RMBG_CODEC_PROCESSES=off does without them",
        reason=reason,
    )


def _handed_over(job: Job) -> dict[str, object]:
    """The fields of the job's `CodecWork`; the files are not kept here."""
    work = {each.name: getattr(job, each.name) for each in fields(CodecWork)}
    del work["timings"]
    job.data = b""
    job.attachments = {name: file._replace(data=b"") for name, file in job.attachments.items()}
    return work
