import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HEAD = """
import ctypes, os, signal, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from rmbg_service.system.exit import *

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
hung = ThreadPoolExecutor(1)
hung.submit(threading.Event().wait)  # a normal exit would wait for this thread
"""


@contextmanager
def run(script: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD + textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_process_ends_at_once_and_its_output_is_there() -> None:
    with run("print('done'); exit_now(7)") as process:
        stdout, _ = process.communicate(timeout=60)
        assert (process.returncode, stdout) == (7, "done\n")


def test_the_process_ends_after_a_time_whatever_the_main_thread_does() -> None:
    with run("exit_after(0.1, 9); threading.Event().wait()") as process:
        assert process.wait(60) == 9
    with run("exit_after(0.1, 9)") as process:  # the interpreter joins its threads
        assert process.wait(60) == 9


def test_a_reader_that_stands_still_does_not_keep_the_process() -> None:
    script = """
        os.set_blocking(1, False)
        with suppress(BlockingIOError):
            while True:
                os.write(1, b"x" * 4096)  # a full pipe, which nobody reads
        os.set_blocking(1, True)
        sys.stdout = open(1, "w")  # buffered, whatever the environment says
        sys.stdout.write("y")
        exit_now(7)
    """
    with run(script) as process:
        assert process.wait(60) == 7


def test_a_second_interrupt_ends_a_process_whose_main_thread_hangs_in_c() -> None:
    script = """
        libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
        libc.pthread_mutex_lock(mutex)
        with second_interrupt_exits():
            while True:
                try:
                    print("ready", flush=True)
                    libc.pthread_mutex_lock(mutex)  # a deadlock, which no signal ends
                except KeyboardInterrupt:
                    pass  # it came before the call
    """
    with run(script) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
        assert process.returncode == 128 + signal.SIGINT


def test_one_interrupt_is_an_exception_as_ever() -> None:
    script = """
        try:
            with second_interrupt_exits():
                print("ready", flush=True)
                time.sleep(60)
        except KeyboardInterrupt:
            print(signal.set_wakeup_fd(-1))  # as it was before
            exit_now(5)
    """
    with run(script) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=60)
        assert (process.returncode, stdout) == (5, "-1\n")
