import hashlib
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import bundle, catalog
from rmbg_service.models.catalog import BIREFNET
from rmbg_service.models.spec import ModelSpec, Weights
from rmbg_service.models.store import Store

BYTES = b"the weights of a test"


@pytest.fixture
def spec(monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    made = replace(BIREFNET, weights=Weights(sha256=hashlib.sha256(BYTES).hexdigest()))
    monkeypatch.setattr(catalog, "CATALOG", (made,))
    return made


@pytest.fixture
def there(tmp_path: Path) -> Store:
    """The store of the machine without a network."""
    return Store(tmp_path / "there")


def exported(spec: ModelSpec, store: Store, target: Path) -> Path:
    store.path(spec).parent.mkdir(parents=True)
    store.path(spec).write_bytes(BYTES)
    assert bundle.export([spec], target, store) == [store.path(spec)]
    return target


@pytest.mark.parametrize("name", ["weights.tar", "weights"])
def test_weights_travel(
    spec: ModelSpec, store: Store, there: Store, tmp_path: Path, name: str
) -> None:
    target = exported(spec, store, tmp_path / name)
    assert bundle.import_(target, there) == ["BiRefNet"]
    found = there.find(spec)
    assert found is not None
    assert found.read_bytes() == BYTES


def test_what_is_not_here_is_not_exported(spec: ModelSpec, store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="BiRefNet is not on this disk: pull it first"):
        bundle.export([spec], tmp_path / "weights.tar", store)
    with pytest.raises(ConfigurationError, match="nothing to export"):
        bundle.export([], tmp_path / "weights.tar", store)
    assert not (tmp_path / "weights.tar").exists()


def refusal(source: Path, store: Store) -> str:
    with pytest.raises(ConfigurationError) as caught:
        bundle.import_(source, store)
    assert "\n" not in str(caught.value)
    assert not store.folder.exists() or not list(store.folder.rglob("*.safetensors"))
    return str(caught.value)


def test_changed_bytes_are_refused(
    spec: ModelSpec, store: Store, there: Store, tmp_path: Path
) -> None:
    folder = exported(spec, store, tmp_path / "weights")
    file = folder / "BiRefNet" / "model.safetensors"
    file.write_bytes(b"other")
    assert "is not the expected file" in refusal(folder, there)
    manifest = {"BiRefNet/model.safetensors": hashlib.sha256(b"other").hexdigest()}
    (folder / bundle.MANIFEST).write_text(json.dumps(manifest))
    assert "is not the expected file" in refusal(folder, there)


@pytest.mark.parametrize(
    "name",
    ["../secret", "BiRefNet/../../secret", "BiRefNet/absent", "nobody/model.safetensors", ""],
)
@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_hostile_or_broken_bundle_is_refused(
    spec: ModelSpec, there: Store, tmp_path: Path, name: str, kind: str
) -> None:
    (tmp_path / "secret").write_bytes(BYTES)
    source = tmp_path / "weights"
    source.mkdir()
    digest = hashlib.sha256(BYTES).hexdigest()
    (source / bundle.MANIFEST).write_text(json.dumps({name: digest}))
    if kind == "tar":
        packed = tmp_path / "weights.tar"
        with tarfile.open(packed, "w") as archive:
            archive.add(source / bundle.MANIFEST, bundle.MANIFEST)
        source = packed
    refusal(source, there)


@pytest.mark.parametrize("content", [b"", b"not a tar file", b"\0" * 10_240])
def test_what_is_not_a_bundle_is_refused(there: Store, tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "weights.tar"
    source.write_bytes(content)
    assert "is not a whole bundle" in refusal(source, there)
    assert "is not a whole bundle" in refusal(tmp_path / "absent", there)
    assert "is not a whole bundle" in refusal(tmp_path, there)


def test_a_disk_that_cannot_be_written_is_not_blamed_on_the_bundle(
    spec: ModelSpec, store: Store, tmp_path: Path
) -> None:
    target = exported(spec, store, tmp_path / "weights.tar")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        bundle.import_(target, Store(tmp_path / "file"))
