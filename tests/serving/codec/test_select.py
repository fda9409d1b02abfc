"""Where the work around the predictions is done."""

import os
from collections.abc import Iterator

import cv2
import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.serving.codec import select
from rmbg_service.serving.codec.process import CodecProcesses
from rmbg_service.serving.codec.select import ThreadCodec, select_codec
from rmbg_service.settings import Settings


@pytest.fixture(autouse=True)
def _opencv_threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The arguments of every `CodecProcesses` that is made, none of which starts a process."""
    made = []

    def note(self: CodecProcesses, count: int, opencv_threads: int) -> None:
        made.append((count, opencv_threads))

    monkeypatch.setattr(CodecProcesses, "__init__", note)
    return made


@pytest.mark.parametrize(
    ("chosen", "device", "cpus", "in_processes"),
    [
        ("auto", "cuda:0", 4, True),
        ("auto", "cuda", 16, True),
        ("auto", "cuda:0", 3, False),
        ("auto", "cpu", 16, False),
        ("auto", "mps", 16, False),
        ("on", "cpu", 1, True),
        ("off", "cuda:0", 16, False),
    ],
)
def test_a_gpu_and_enough_cpus_get_processes(
    chosen: str,
    device: str,
    cpus: int,
    in_processes: bool,
    started: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(select, "cpu_count", lambda: cpus)
    settings = Settings(codec_processes=chosen, codec_threads=2, max_batch_size=3)
    codec = select_codec(settings, device)
    assert isinstance(codec, CodecProcesses if in_processes else ThreadCodec)
    assert started == [(5, max(1, cpus // 2))] * in_processes


@pytest.mark.parametrize(("cpus", "codec_threads", "expected"), [(16, 4, 4), (2, 2, 1), (2, 4, 1)])
def test_codec_threads_share_the_cpus(
    cpus: int, codec_threads: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "cpu_count", lambda: cpus)
    select_codec(Settings(codec_threads=codec_threads), "cpu")
    assert cv2.getNumThreads() == expected


def test_a_system_without_such_processes_says_so(
    started: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(select, "cpu_count", lambda: 16)
    with pytest.raises(ConfigurationError, match="RMBG_CODEC_PROCESSES=on does not work"):
        select_codec(Settings(codec_processes="on"), "cpu")
    assert isinstance(select_codec(Settings(), "cuda:0"), ThreadCodec)
    assert not started
