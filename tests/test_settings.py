from typing import Any

import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.settings import Settings, load_settings
from rmbg_service.system import memory_budget
from rmbg_service.system.memory_budget import LIMITS


def test_the_environment_sets_lists_numbers_and_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_API_KEYS", "sesame, two")
    monkeypatch.setenv("RMBG_MAX_INFLIGHT_JOBS", "3")
    monkeypatch.setenv("RMBG_CORS_ORIGINS", "")
    monkeypatch.setenv("RMBG_ONNX_MEAN", "0.5,0.5,0.5")
    settings = load_settings(port=9000)
    assert [key.get_secret_value() for key in settings.api_keys] == ["sesame", "two"]
    assert (settings.max_inflight_jobs, settings.port) == (3, 9000)
    assert settings.cors_origins == ()
    assert settings.onnx_mean == (0.5, 0.5, 0.5)
    assert "sesame" not in repr(settings)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"port": 70000}, "RMBG_PORT"),
        ({"max_inflight_jobs": "many"}, "RMBG_MAX_INFLIGHT_JOBS"),
        ({"max_image_pixels": 100, "max_inflight_pixels": 50}, "would never be admitted"),
        ({"max_batch_size": 9, "max_inflight_jobs": 8}, "RMBG_MAX_BATCH_SIZE"),
        ({"client_idle_timeout_s": 90}, "RMBG_UPLOAD_TIMEOUT_S"),
        ({"onnx_provider": "abacus"}, "RMBG_ONNX_PROVIDER"),
        ({"api_keys": ","}, "RMBG_API_KEYS is set but empty"),
        ({"api_keys": "schlüssel"}, "RMBG_API_KEYS keys must be ASCII"),
        ({"request_timeout_s": "inf"}, "RMBG_REQUEST_TIMEOUT_S"),
    ],
)
def test_bounds_that_contradict_each_other_are_one_clear_error(
    values: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_settings(**values)


def test_a_misspelt_setting_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_MAX_INFLIGT_JOBS", "3")
    with pytest.raises(ConfigurationError, match="did you mean RMBG_MAX_INFLIGHT_JOBS"):
        load_settings()


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
