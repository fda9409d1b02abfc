"""The default limits of the work in flight, on machines of every size."""

import pytest

from rmbg_service.settings import Settings
from rmbg_service.system import memory_budget
from rmbg_service.system.memory_budget import LIMITS


@pytest.mark.parametrize(
    ("gigabytes", "cpus", "limits"),
    [
        (2, 2, (5, 36_000_000, 36_000_000)),
        (3.9, 4, (16, 89_000_000, 50_000_000)),
        (5, 4, LIMITS),
        (1000, 64, LIMITS),
        (None, 4, LIMITS),
    ],
)
def test_the_default_limits_fit_the_memory(
    monkeypatch: pytest.MonkeyPatch,
    gigabytes: float | None,
    cpus: int,
    limits: tuple[int, int, int],
) -> None:
    memory = None if gigabytes is None else int(gigabytes * 1e9)
    monkeypatch.setattr(memory_budget, "memory_limit_bytes", lambda: memory)
    monkeypatch.setattr(memory_budget, "cpu_count", lambda: cpus)
    made = Settings()
    assert (made.max_inflight_jobs, made.max_inflight_pixels, made.max_image_pixels) == limits
    assert memory is None or made.peak_job_bytes + 500_000_000 < memory


def test_below_what_can_work_the_default_limits_stay_useful(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_budget, "memory_limit_bytes", lambda: 10**8)
    made = Settings()
    assert (made.max_inflight_jobs, made.max_image_pixels) == (1, 12_000_000)
