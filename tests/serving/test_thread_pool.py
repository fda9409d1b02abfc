import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rmbg_service.errors import OutOfMemory
from rmbg_service.serving.thread_pool import StuckThread, ThreadPool
from tests.fakes import until


class Hung:
    """A call that comes back when its gate opens."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def __call__(self) -> str:
        assert self.gate.wait(60)
        return "late"


@contextmanager
def pool(threads: int, timeout_s: float = 0.01) -> Iterator[tuple[ThreadPool, list[str]]]:
    exhausted: list[str] = []
    made = ThreadPool("codec", threads, timeout_s, exhausted.append)
    yield made, exhausted
    made.close()


async def test_calls_run_at_once_up_to_the_number_of_threads() -> None:
    barrier = threading.Barrier(2)
    with pool(2, 60) as (threads, _):
        await asyncio.gather(*(threads.run(lambda: barrier.wait(60)) for _ in range(6)))


async def test_an_error_of_the_call_is_the_caller_s() -> None:
    def fail() -> None:
        raise ValueError("odd")

    with pool(1, 60) as (threads, _):
        with pytest.raises(ValueError, match="odd"):
            await threads.run(fail)
        assert await threads.run(lambda: "next") == "next"


async def test_a_stuck_thread_is_told_and_replaced(caplog: pytest.LogCaptureFixture) -> None:
    hung = Hung()
    with pool(1) as (threads, exhausted):
        with pytest.raises(StuckThread, match=r"codec took longer than 0\.01 s") as caught:
            await threads.run(hung)
        assert "in __call__" in caplog.text  # where it hangs
        assert threads.stuck == 1
        assert await threads.run(lambda: "next") == "next"
        hung.gate.set()
        assert await caught.value.ended == "late"
        await until(lambda: threads.stuck == 0)
        assert await threads.run(lambda: "next") == "next"
        assert exhausted == []


async def test_too_many_stuck_threads_exhaust_the_pool() -> None:
    calls = [Hung() for _ in range(3)]
    with pool(2) as (threads, exhausted):
        try:
            for hung in calls[:2]:
                with pytest.raises(StuckThread):
                    await threads.run(hung)
            assert exhausted == []
            with pytest.raises(StuckThread):
                await threads.run(calls[2])
            assert exhausted == ["3 threads of the codec are stuck"]
        finally:
            for hung in calls:
                hung.gate.set()


async def test_a_caller_that_is_cancelled_leaves_the_thread_to_its_call() -> None:
    hung = Hung()
    with pool(1) as (threads, _):
        running = asyncio.create_task(threads.run(hung))
        await asyncio.sleep(0)
        running.cancel()
        await until(lambda: threads.stuck == 1)
        assert running.cancelled()
        hung.gate.set()
        await until(lambda: threads.stuck == 0)


async def test_a_thread_that_does_not_start_costs_its_own_call_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done: list[str] = []
    with pool(1, 60) as (threads, _):
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", full)
            with pytest.raises(OutOfMemory, match="no thread left"):
                await threads.run(lambda: done.append("refused"))
        assert "a thread of the codec does not start: can't start new thread" in caplog.text
        async with asyncio.timeout(30):
            await threads.run(lambda: done.append("next"))
    assert done == ["next"]
