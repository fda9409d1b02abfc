from typing import Any

import pytest

from rmbg_service.api.app import check_memory
from rmbg_service.errors import ConfigurationError
from rmbg_service.settings import (
    BYTES_PER_PIXEL,
    RESULT_BYTES_PER_PIXEL,
    WORKING_BYTES,
    Settings,
    load_settings,
)


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


def test_bounds_that_do_not_fit_into_memory_stop_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What this process holds depends on the tests that ran before.
    monkeypatch.setattr("rmbg_service.api.app.resident_bytes", lambda: 100_000_000)
    settings = Settings(max_inflight_pixels=60_000_000, max_inflight_jobs=2, max_body_bytes=10_000)
    per_pixel = BYTES_PER_PIXEL + RESULT_BYTES_PER_PIXEL
    arrays = settings.codec_threads * WORKING_BYTES
    assert settings.peak_job_bytes == 60_000_000 * per_pixel + arrays + 5 * 10_000
    check_memory(settings, None)
    check_memory(settings, 4_000_000_000)
    with pytest.raises(ConfigurationError, match="RMBG_MAX_INFLIGHT_PIXELS"):
        check_memory(settings, 900_000_000)
