import hashlib
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import hub, pull
from rmbg_service.models.catalog import find, unlisted
from rmbg_service.models.spec import ModelSpec, Weights
from rmbg_service.models.store import Store
from tests.models.file_server import COMMIT, FileServer

DATA = os.urandom(50_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
NOWHERE = "http://127.0.0.1:9"


def model(**weights: Any) -> ModelSpec:
    spec = find("BiRefNet")
    assert spec is not None
    return replace(spec, name="test", weights=Weights(**{"sha256": SHA256, **weights}))


def fetch(spec: ModelSpec, store: Store, source: str = "auto") -> Path:
    return pull.pull(spec, store, lambda done, total: None, source)


def refusal(spec: ModelSpec, store: Store, source: str = "auto") -> str:
    with pytest.raises(ConfigurationError) as caught:
        fetch(spec, store, source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub may be asked; it is a host of the test, or nowhere."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)


@pytest.fixture
def modelscope(host: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    monkeypatch.setattr(pull, "MODELSCOPE", host.url)
    host.needs_user_agent = True
    host.files["/models/org/name/resolve/master/model.safetensors"] = DATA
    return host


def test_modelscope_sends_a_file(modelscope: FileServer, store: Store) -> None:
    spec = model(modelscope="org/name")
    path = fetch(spec, store, "modelscope")
    assert path == store.folder / "test" / "model.safetensors" == store.find(spec)
    assert path.read_bytes() == DATA


def test_a_release_sends_a_file(host: FileServer, store: Store) -> None:
    host.redirects["/releases/download/v0/net.onnx"] = f"{host.url}/cdn"
    host.files["/cdn"] = DATA
    spec = model(release=f"{host.url}/releases/download/v0/net.onnx")
    assert fetch(spec, store) == store.folder / "test" / "net.onnx"


def test_a_file_on_this_disk_is_copied(tmp_path: Path, store: Store) -> None:
    source = tmp_path / "BiRefNet-general-epoch_244.safetensors"
    source.write_bytes(DATA)
    assert fetch(model(), store, str(source)).read_bytes() == DATA
    source.write_bytes(b"other")
    assert "is not the expected file" in refusal(model(), store, str(source))
    assert "is not a file, a URL or one of hub" in refusal(model(), store, "absent")


def test_a_url_of_the_callers_choice_is_fetched(host: FileServer, store: Store) -> None:
    host.files["/mine"] = DATA
    assert fetch(model(), store, f"{host.url}/mine").read_bytes() == DATA
    assert "set RMBG_MODEL to mine" in refusal(unlisted("org/name"), store, "mine")
    unknown = replace(model(sha256=None), name="unknown")
    assert "over https only" in refusal(unknown, store, f"{host.url}/mine")


def test_auto_goes_on_if_a_source_fails(
    modelscope: FileServer, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    caplog.set_level("INFO")
    spec = model(hub="org/name", modelscope="org/name")
    assert fetch(spec, store).read_bytes() == DATA
    (line,) = [r.getMessage() for r in caplog.records if r.name == pull.__name__]
    assert line.startswith("test by hub: 127.0.0.1:9 cannot be reached")


def test_if_every_source_fails_each_says_why(
    modelscope: FileServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    modelscope.refusals = [404]
    message = refusal(model(hub="org/name", modelscope="org/name"), store)
    assert "hub: 127.0.0.1:9 cannot be reached" in message
    assert "modelscope: " in message
    assert "answered 404" in message
    assert "models pull test --from URL-or-path" in message


def test_a_disk_without_room_ends_it(
    modelscope: FileServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = model(modelscope="org/name", release=f"{modelscope.url}/net.onnx")
    monkeypatch.setattr("shutil.disk_usage", lambda _: (0, 0, 0))
    monkeypatch.setattr("rmbg_service.models.download.shutil.disk_usage", _no_room)
    assert "no space left" in refusal(spec, store)
    assert len(modelscope.asked) == 1


def _no_room(_: object) -> Any:
    return type("Usage", (), {"free": 0})


def test_a_host_that_takes_calls_and_says_nothing_costs_seconds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "_REACHABLE_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        message = refusal(model(), store, url)
    assert "does not respond" in message or "cannot be reached" in message


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HTTP_PROXY", "socks5://127.0.0.1:9"), ("HTTP_PROXY", "ftp://127.0.0.1:9")],
)
def test_a_proxy_that_cannot_be_used_is_named_as_the_reason(
    store: Store, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    message = refusal(model(), store, "http://models.example/file")
    assert "models.example cannot be reached: " in message
    assert value.partition(":")[0].removesuffix("5").upper() in message.upper()


@pytest.mark.parametrize("url", ["https://host:port/file", "https://[::1/file"])
def test_a_broken_url_is_called_that(url: str, store: Store) -> None:
    assert "is not a URL: " in refusal(model(), store, url)


def test_another_revision_comes_from_the_hub_alone(
    modelscope: FileServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = model(hub="org/name", modelscope="org/name")
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        pull.pull(spec, store, lambda done, total: None, revision="v2")
    assert not modelscope.asked
    with pytest.raises(ConfigurationError, match="is not available from"):
        fetch(unlisted("org/name"), store, "release")


def test_a_hub_that_must_not_be_asked_is_not_asked(
    store: Store, host: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", host.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in refusal(model(hub="org/name"), store)
    assert not host.asked


def test_bytes_of_the_hub_that_are_not_the_known_ones_are_not_used(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: FileServer
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", host.url)
    (tmp_path / "model.safetensors").write_bytes(b"other")
    monkeypatch.setattr(hub, "pull_file", lambda *_: tmp_path / "model.safetensors")
    message = refusal(model(hub="org/name"), store, "hub")
    assert f"expected sha256 {SHA256}" in message
    assert f"delete {tmp_path / 'model.safetensors'} and pull again" in message


def on_the_hub(host: FileServer, home: Path) -> "subprocess.CompletedProcess[str]":
    """Pull `org/name` through huggingface_hub, which reads its environment once."""
    code = (
        "from rmbg_service.models import hub\n"
        "from rmbg_service.errors import ConfigurationError\n"
        "try: print(hub.pull_file('org/name', 'model.safetensors', 'main'))\n"
        "except ConfigurationError as error: print('refused:', error)"
    )
    variables = {**os.environ, "HF_ENDPOINT": host.url, "HF_HOME": str(home)}
    variables.pop("HF_TOKEN", None)
    return subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )


def test_a_mirror_of_the_hub_is_asked_for_the_file_and_nothing_else(
    host: FileServer, tmp_path: Path
) -> None:
    for revision in ("main", COMMIT):
        host.files[f"/org/name/resolve/{revision}/model.safetensors"] = DATA
    path = Path(on_the_hub(host, tmp_path).stdout.strip())
    assert path.is_relative_to(tmp_path)
    assert path.read_bytes() == DATA
    assert {asked for asked, _ in host.asked} == {"/org/name/resolve/main/model.safetensors"}


def test_a_gated_repository_without_a_token_says_so(host: FileServer, tmp_path: Path) -> None:
    host.gated = True
    done = on_the_hub(host, tmp_path)
    assert done.stdout.startswith("refused: org/name is gated: accept its terms at")
    assert "set HF_TOKEN" in done.stdout
