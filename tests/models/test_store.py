import errno
import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import catalog, hub
from rmbg_service.models.catalog import BIREFNET, EMBEDDED
from rmbg_service.models.digests import Digests, digests
from rmbg_service.models.spec import Weights
from rmbg_service.models.store import EMBEDDED_PATH, Store
from rmbg_service.settings import Settings

BYTES = b"the weights of a test"
SPEC = replace(BIREFNET, weights=Weights(sha256=hashlib.sha256(BYTES).hexdigest(), hub="org/name"))


@pytest.fixture
def u2net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of rembg, missing yet."""
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "u2net"))
    return tmp_path / "u2net"


@pytest.fixture
def comfyui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of ComfyUI's models, missing yet; the catalogue has `SPEC`."""
    monkeypatch.setattr(catalog, "CATALOG", (SPEC, *catalog.CATALOG))
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "ComfyUI"))
    return tmp_path / "ComfyUI" / "models"


def test_the_folder_is_the_setting_or_below_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Store.of(Settings(model_dir=tmp_path)).folder == tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Store.of(Settings()).folder == tmp_path / "rmbg-service" / "models"


def test_weights_are_found_in_the_own_folder_then_in_the_cache_of_the_hub(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = Path("snapshot")
    monkeypatch.setattr(hub, "cached", lambda repo, _: snapshot if repo == "org/name" else None)
    assert store.find(EMBEDDED) == EMBEDDED_PATH
    assert store.find(SPEC) == snapshot
    store.path(SPEC).parent.mkdir(parents=True)
    store.path(SPEC).write_bytes(BYTES)
    assert store.find(SPEC) == store.path(SPEC)
    assert store.find(SPEC, "another-revision") == snapshot
    assert store.find(catalog.unlisted("org/name")) == snapshot
    assert store.find(catalog.unlisted("org/other")) is None


def test_files_of_other_programs_are_known_by_their_bytes(
    store: Store, u2net: Path, comfyui: Path
) -> None:
    assert list(store.elsewhere()) == []
    files = {
        u2net / "u2netp.onnx": EMBEDDED_PATH.read_bytes(),
        u2net / "u2net.onnx": b"other bytes",
        comfyui / "background_removal" / "model.safetensors": BYTES,
        comfyui / "RMBG" / "RMBG-2.0" / "model.safetensors": b"other bytes",
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert list(store.elsewhere()) == [(SPEC, comfyui / "background_removal" / "model.safetensors")]


def test_a_file_of_others_that_cannot_be_read_is_passed_over(
    store: Store, u2net: Path, comfyui: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = u2net / "u2net.onnx"
    model = comfyui / "background_removal" / "model.safetensors"
    for path in (closed, model):
        path.parent.mkdir(parents=True)
        path.write_bytes(BYTES)

    def refused(path: Path, memory: Path | None = None) -> Digests:
        if path == closed:
            raise ConfigurationError(f"{path} cannot be read: Permission denied")
        return digests(path, memory)

    monkeypatch.setattr("rmbg_service.models.store.digests", refused)
    assert list(store.elsewhere()) == [(SPEC, model)]


def test_a_home_folder_that_is_unknown_or_closed_is_as_good_as_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither `docker run --user` nor `sudo -u` with the HOME of another user stops the start."""
    real = os.stat

    def stat(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(str(tmp_path)):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *arguments, **options)

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for variable in ("XDG_CACHE_HOME", "U2NET_HOME", "COMFYUI_PATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(os, "stat", stat)
    for home in (lambda: tmp_path, unknown):
        monkeypatch.setattr(Path, "home", home)
        store = Store.of(Settings())
        assert store.find(EMBEDDED) == EMBEDDED_PATH
        assert store.find(BIREFNET) is None
        assert list(store.elsewhere()) == []
