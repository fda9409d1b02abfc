"""The default limits of the work in flight, on machines of every size."""

import pytest

from rmbg_service.diagnostics import memory as diagnostics
from rmbg_service.diagnostics.memory import codec_process_bytes, peak_job_bytes
from rmbg_service.settings import Settings
from rmbg_service.system import memory_budget
from rmbg_service.system.memory_budget import LIMITS


@pytest.mark.parametrize(
    ("gigabytes", "cpus", "gpu", "limits"),
    [
        (2, 2, False, (5, 36_000_000, 36_000_000)),
        (3.9, 4, False, (16, 89_000_000, 50_000_000)),
        (5, 4, False, LIMITS),
        (1000, 64, False, LIMITS),
        (None, 4, False, LIMITS),
        (5, 16, True, (16, 49_000_000, 49_000_000)),
        (16, 16, True, LIMITS),
    ],
)
def test_the_default_limits_fit_the_memory(
    monkeypatch: pytest.MonkeyPatch,
    gigabytes: float | None,
    cpus: int,
    gpu: bool,
    limits: tuple[int, int, int],
) -> None:
    memory = None if gigabytes is None else int(gigabytes * 1e9)
    monkeypatch.setattr(memory_budget, "memory_limit_bytes", lambda: memory)
    monkeypatch.setattr(memory_budget, "cpu_count", lambda: cpus)
    for module in (memory_budget, diagnostics):
        monkeypatch.setattr(module, "has_gpu", lambda: gpu)
    made = Settings()
    assert (made.max_inflight_jobs, made.max_inflight_pixels, made.max_image_pixels) == limits
    needed = peak_job_bytes(made) + codec_process_bytes(made)
    assert memory is None or needed + 500_000_000 < memory


def test_below_what_can_work_the_default_limits_stay_useful(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_budget, "memory_limit_bytes", lambda: 10**8)
    made = Settings()
    assert (made.max_inflight_jobs, made.max_image_pixels) == (1, 12_000_000)
