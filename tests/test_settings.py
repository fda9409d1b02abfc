from typing import Any

import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.settings import load_settings


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
