import os
import sys
import threading
from pathlib import Path

import pytest

from rmbg_service.system.resources import cpu_count, memory_limit_bytes, resident_bytes, step_back


def test_a_container_s_limits_are_seen(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("512000000\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert memory_limit_bytes(tmp_path) == 512_000_000
    assert cpu_count(tmp_path) == 1


def test_without_a_container_the_machine_is_the_limit(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert (memory_limit_bytes(tmp_path) or 0) > 512_000_000
    assert cpu_count(tmp_path) >= 1
    assert resident_bytes() > 10_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="niceness of a single thread")
def test_working_threads_give_way_and_the_event_loop_does_not() -> None:
    seen = []

    def work() -> None:
        step_back()
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [5]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
