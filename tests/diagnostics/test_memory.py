"""The check at the start, and what it says about limits that do not fit."""

import logging
import re

import pytest

from rmbg_service.diagnostics import memory
from rmbg_service.diagnostics.memory import check_memory, memory_problem, peak_job_bytes
from rmbg_service.errors import ConfigurationError
from rmbg_service.settings import Settings, load_settings
from rmbg_service.system.memory_budget import (
    BYTES_PER_PIXEL,
    RESULT_BYTES_PER_PIXEL,
    WORKING_BYTES,
)

PROCESS = 150_000_000


def test_limits_that_do_not_fit_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "resident_bytes", lambda: PROCESS)
    settings = Settings(
        max_inflight_pixels=60_000_000,
        max_image_pixels=50_000_000,
        max_inflight_jobs=2,
        max_body_bytes=10_000,
    )
    per_pixel = BYTES_PER_PIXEL + RESULT_BYTES_PER_PIXEL
    arrays = settings.codec_threads * WORKING_BYTES
    assert peak_job_bytes(settings) == 60_000_000 * per_pixel + arrays + 5 * 10_000
    for enough in (None, 4_000_000_000):
        monkeypatch.setattr(memory, "memory_limit_bytes", lambda enough=enough: enough)
        check_memory(settings)
    monkeypatch.setattr(memory, "memory_limit_bytes", lambda: 900_000_000)
    with pytest.raises(ConfigurationError, match="RMBG_MAX_INFLIGHT_PIXELS"):
        check_memory(settings)


@pytest.mark.parametrize("memory_bytes", [1_000_000_000, 2_000_000_000, 3_000_000_000])
def test_the_values_that_are_suggested_fit(memory_bytes: int) -> None:
    large = Settings(max_inflight_jobs=64, max_inflight_pixels=10**9, codec_threads=4)
    problem = memory_problem(large, PROCESS, memory_bytes)
    assert problem is not None
    suggested = {name.lower(): value for name, value in re.findall(r"RMBG_(\w+)=(\d+)", problem)}
    assert memory_problem(load_settings(**suggested), PROCESS, memory_bytes) is None


def test_where_nothing_fits_the_error_says_so() -> None:
    problem = memory_problem(Settings(), PROCESS, 500_000_000)
    assert problem is not None
    assert problem.endswith("give the service more memory")


def test_what_was_chosen_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(memory, "memory_limit_bytes", lambda: None)
    with caplog.at_level(logging.INFO):
        check_memory(Settings(max_inflight_jobs=3, max_inflight_pixels=89_000_000))
    assert "limits: 3 jobs with 89 MP" in caplog.text
