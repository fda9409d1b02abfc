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
        ({"api_keys": "schlüssel"}, "RMBG_API_KEYS must be printable ASCII"),
        ({"api_keys": "one\ttwo"}, "RMBG_API_KEYS must be printable ASCII"),
        ({"host": " "}, "RMBG_HOST must not be empty"),
        ({"model": ""}, "RMBG_MODEL must not be empty"),
        ({"model_dir": ""}, "RMBG_MODEL_DIR must not be empty"),
        ({"matting_model": " "}, "RMBG_MATTING_MODEL must not be empty"),
        ({"device": " "}, "RMBG_DEVICE must not be empty"),
        ({"onnx_mean": "0.5,0.5"}, "RMBG_ONNX_MEAN must be three numbers, such as"),
        ({"onnx_std": "0,0,0"}, "^RMBG_ONNX_STD must be greater than 0$"),
        ({"cors_origins": "shop.example"}, "RMBG_CORS_ORIGINS must be origins such as https://"),
        ({"cors_origins": "https://shop.example/"}, "got https://shop.example/$"),
        ({"cors_origins": "https://*.shop.example"}, "RMBG_CORS_ORIGINS"),
        ({"url_fetch_hosts": "https://shop.example"}, "RMBG_URL_FETCH_HOSTS must be hosts such as"),
        ({"url_fetch_hosts": "*"}, "RMBG_URL_FETCH_HOSTS"),
        ({"open_endpoints": ",", "api_keys": "k"}, "RMBG_OPEN_ENDPOINTS is set but empty"),
        (
            {"upload_timeout_s": 1e9, "client_idle_timeout_s": 1e9},
            "RMBG_CLIENT_IDLE_TIMEOUT_S must",
        ),
        ({"request_timeout_s": 1e300}, "RMBG_REQUEST_TIMEOUT_S must be less than"),
        ({"request_timeout_s": "inf"}, "RMBG_REQUEST_TIMEOUT_S"),
    ],
)
def test_a_value_that_cannot_work_is_one_clear_error(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_settings(**values)


def test_a_misspelt_setting_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_MAX_INFLIGT_JOBS", "3")
    with pytest.raises(ConfigurationError, match="did you mean RMBG_MAX_INFLIGHT_JOBS"):
        load_settings()


def test_values_that_can_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_HOST", "0.0.0.0 ")
    monkeypatch.setenv("RMBG_CORS_ORIGINS", "https://shop.example:8443, null, app://localhost")
    monkeypatch.setenv("RMBG_URL_FETCH_HOSTS", "Shop.example,*.cdn.example,192.0.2.1,2001:db8::1")
    settings = load_settings(open_endpoints="none", api_keys="k")
    assert settings.host == "0.0.0.0"
    assert settings.cors_origins == ("https://shop.example:8443", "null", "app://localhost")
    assert len(settings.url_fetch_hosts) == 4
    assert settings.open_endpoints == ()
