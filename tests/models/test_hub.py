import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import errors

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import hub
from rmbg_service.models.files import size_bytes

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty snapshot of `org/name` in a cache of its own."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repo = tmp_path / "models--org--name"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    folder = repo / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    return folder


def test_an_empty_snapshot_is_not_a_cached_model(snapshot: Path) -> None:
    (snapshot / "config.json").write_text("{}")
    assert hub.cached("org/name") is None
    assert hub.cached("org/other") is None


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_a_cached_model_is_found(snapshot: Path, name: str, revision: str) -> None:
    (snapshot / name).write_bytes(b"weights")
    assert hub.cached("org/name", revision) == snapshot
    assert hub.cached("org/name", "v2") is None
    assert size_bytes(snapshot) == 7


def test_a_sharded_model_is_cached_when_every_shard_is(snapshot: Path) -> None:
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    (snapshot / "one.safetensors").touch()
    assert hub.cached("org/name") is None
    (snapshot / "two.safetensors").touch()
    assert hub.cached("org/name") == snapshot


def test_what_is_cached_is_pulled_without_a_network(snapshot: Path) -> None:
    (snapshot / "model.safetensors").write_bytes(b"weights")
    assert hub.pull("org/name", local_files_only=True) == snapshot


def test_pickles_are_fetched_only_without_safetensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(_: str, *, allow_patterns: list[str], **__: object) -> str:
        asked.extend(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    hub.pull("org/name")
    assert set(hub.PICKLE_FILES) < set(asked)
    asked.clear()
    (tmp_path / "model.safetensors").touch()
    hub.pull("org/name")
    assert not set(hub.PICKLE_FILES) & set(asked)


@pytest.mark.parametrize(
    ("token", "hint"), [(None, "set HF_TOKEN to a token"), ("hf_x", "may read public gated")]
)
def test_a_gated_repository_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, token: str | None, hint: str
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise errors.GatedRepoError("no", response=response(403))

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: token)
    with pytest.raises(ConfigurationError, match=hint):
        hub.pull("org/name")


def response(status: int) -> Any:
    return httpx.Response(status, request=httpx.Request("GET", "https://huggingface.co/org/name"))


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (errors.GatedRepoError("no\nno", response=response(403)), "is gated: accept its terms at"),
        (errors.RevisionNotFoundError("no", response=response(404)), "has no revision 'v9'"),
        (errors.RepositoryNotFoundError("no", response=response(401)), "does not exist"),
        (errors.LocalEntryNotFoundError("no"), "is not in the local cache"),
        (errors.HFValidationError("no"), "neither a folder nor"),
        (errors.HfHubHTTPError("busy\nlong", response=response(503)), "could not be fetched: busy"),
        (OSError("disk full"), "could not be fetched: disk full"),
        (TimeoutError(), "could not be fetched: TimeoutError"),
        (errors.HfHubHTTPError.__bases__[0]("lost"), "could not be fetched: lost"),
    ],
)
def test_the_hubs_errors_become_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, hint: str
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(ConfigurationError) as caught:
        hub.pull("org/name", "v9")
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", ["birefnet-fine.safetensors", "epoch_100.pth"])
def test_weights_that_are_called_otherwise_are_found_too(snapshot: Path, name: str) -> None:
    """What was fetched once starts without a network."""
    (snapshot / "config.json").write_text("{}")
    (snapshot / name).write_bytes(b"weights")
    assert hub.cached("org/name") == snapshot
    assert size_bytes(snapshot) == 7
