import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import catalog, hub, pull
from rmbg_service.models.catalog import BIREFNET, EMBEDDED_SHA256, RMBG_2_0, find
from rmbg_service.models.select import _locate, _spec_of_path, select_predictor
from rmbg_service.models.spec import ModelSpec, Weights
from rmbg_service.models.store import EMBEDDED_PATH, Store
from rmbg_service.models.with_matting import matting_of
from rmbg_service.settings import Settings
from tests.models.file_server import FileServer

BYTES = b"the weights of a test"
SHA256 = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """RMBG-2.0, as if its weights were `BYTES`."""
    weights = Weights(sha256=SHA256, hub="briaai/RMBG-2.0", revision="pinned")
    spec = replace(RMBG_2_0, weights=weights)
    monkeypatch.setattr(catalog, "CATALOG", (spec, BIREFNET))
    return spec


def refusal(settings: Settings) -> str:
    with pytest.raises(ConfigurationError) as refused:
        select_predictor(settings)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_embedded_weights_are_the_published_ones() -> None:
    digest = hashlib.sha256(EMBEDDED_PATH.read_bytes()).hexdigest()
    assert digest == EMBEDDED_SHA256
    assert "Apache License" in EMBEDDED_PATH.with_name("LICENSE-u2net.txt").read_text()


def test_bytes_decide_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "isnet-general-use.onnx"
    shutil.copyfile(EMBEDDED_PATH, path)
    predictor = select_predictor(Settings(model=str(path)))
    assert (predictor.name, predictor.licence) == ("u2netp", "Apache-2.0")
    assert predictor.input_size == (320, 320)


@pytest.mark.parametrize("name", ["model.safetensors", "birefnet.safetensors", "folder"])
def test_a_copy_of_gated_weights_is_gated_like_the_original(
    tmp_path: Path, known: ModelSpec, name: str
) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
        (path / "model.safetensors").write_bytes(BYTES)
    else:
        path.write_bytes(BYTES)
    assert "RMBG_ACCEPT_LICENSE=cc-by-nc-4.0" in refusal(Settings(model=str(path)))
    accepted = Settings(model=str(path), accept_license=("cc-by-nc-4.0",))
    predictor = select_predictor(accepted)
    assert (predictor.name, predictor.licence) == ("RMBG-2.0", "CC-BY-NC-4.0")


def test_unknown_bytes_say_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"other")
    predictor = select_predictor(Settings(model=str(path)))
    assert (predictor.name, predictor.licence) == ("mine", "unknown")
    assert "mine.safetensors is not in the catalogue: its licence is unknown" in caplog.text


def onnx(path: Path, store: Store, **settings: Any) -> ModelSpec:
    path.write_bytes(b"other")
    return _spec_of_path(path, Settings(**settings), store)


def test_unknown_bytes_with_a_well_known_name_are_fed_like_it(tmp_path: Path, store: Store) -> None:
    spec = onnx(tmp_path / "isnet-general-use.onnx", store)
    assert (spec.mean, spec.std, spec.licence) == ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0), "unknown")


def test_settings_say_how_any_other_file_is_fed(tmp_path: Path, store: Store) -> None:
    spec = onnx(
        tmp_path / "mine.onnx",
        store,
        onnx_mean=(0.1, 0.2, 0.3),
        onnx_std=(1, 2, 3),
        onnx_activation="sigmoid",
        onnx_input_size=512,
    )
    assert (spec.name, spec.licence, spec.input_size) == ("mine", "unknown", (512, 512))
    assert (spec.mean, spec.std, spec.activation) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0), "sigmoid")


@pytest.mark.parametrize("model", ["no-such-model", "absent.onnx", "absent.safetensors"])
def test_an_unknown_model_is_refused(model: str) -> None:
    assert model in refusal(Settings(model=model))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    assert "holds no weights" in refusal(Settings(model=str(tmp_path)))


def cache_with(monkeypatch: pytest.MonkeyPatch, *repositories: str) -> None:
    def cached(repo: str, revision: str) -> Path | None:
        return Path("somewhere") if repo in repositories else None

    monkeypatch.setattr(hub, "cached", cached)


@pytest.mark.parametrize(
    ("in_cache", "accepted", "chosen"),
    [
        ([], "", "u2netp"),
        (["ZhengPeng7/BiRefNet"], "", "BiRefNet"),
        (["briaai/RMBG-2.0"], "", "u2netp"),
        (["briaai/RMBG-2.0"], "cc-by-nc-4.0", "RMBG-2.0"),
        (["briaai/RMBG-2.0", "ZhengPeng7/BiRefNet"], "", "BiRefNet"),
        (["briaai/RMBG-2.0", "ZhengPeng7/BiRefNet"], "cc-by-nc-4.0", "RMBG-2.0"),
    ],
)
def test_auto_takes_the_best_that_is_on_disk_and_allowed(
    monkeypatch: pytest.MonkeyPatch, in_cache: list[str], accepted: str, chosen: str
) -> None:
    cache_with(monkeypatch, *in_cache)
    predictor = select_predictor(Settings(accept_license=tuple(accepted.split())))
    assert predictor.name == chosen


def test_a_non_commercial_model_needs_its_licence_accepted() -> None:
    for model in ("RMBG-2.0", "briaai/RMBG-2.0", "1038lab/RMBG-2.0", "rmbg-2.0-onnx"):
        assert "RMBG_ACCEPT_LICENSE=cc-by-nc-4.0" in refusal(Settings(model=model))
        accepted = Settings(model=model, accept_license=("CC-BY-NC-4.0",))
        assert select_predictor(accepted).name.startswith("RMBG-2.0")


def test_names_and_other_repositories_become_birefnets() -> None:
    assert select_predictor(Settings(model="birefnet_LITE")).name == "BiRefNet_lite"
    assert select_predictor(Settings(model="someone/their-birefnet")).name == "their-birefnet"
    assert select_predictor(Settings(model="u2net")).name == "u2net"


@pytest.mark.parametrize("name", ["vitmatte-small-composition-1k", "someone/their-vitmatte"])
def test_a_matting_model_joins_the_predictor(name: str) -> None:
    predictor = select_predictor(Settings(model="u2netp", matting_model=name))
    matting = matting_of(predictor)
    assert matting is not None
    assert (predictor.name, matting.name) == ("u2netp", name.removeprefix("someone/"))
    assert matting.licence == ("Apache-2.0" if "/" not in name else "unknown")
    assert matting.input_size == (512, 512)
    assert matting_of(select_predictor(Settings(model="u2netp"))) is None


def test_a_matting_model_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"other")
    matting = matting_of(select_predictor(Settings(model="u2netp", matting_model=str(path))))
    assert matting is not None
    assert (matting.name, matting.licence) == ("mine", "unknown")
    with pytest.raises(ConfigurationError, match=r"mine\.safetensors is not a whole safetensors"):
        matting.load()


@pytest.mark.parametrize("name", ["u2netp", "BiRefNet", "no-such-model"])
def test_another_network_is_not_a_matting_model(name: str) -> None:
    message = refusal(Settings(model="u2netp", matting_model=name))
    assert message.startswith(f"RMBG_MATTING_MODEL={name} is not vitmatte-small-composition-1k")


def test_a_matting_model_is_not_a_model_by_itself() -> None:
    message = refusal(Settings(model="vitmatte-small-composition-1k"))
    assert "set RMBG_MATTING_MODEL to it" in message
    assert "vitmatte" not in refusal(Settings(model="no-such-model"))


def settings_of(store: Store, **values: Any) -> Settings:
    return Settings(model_dir=store.folder, accept_license=("cc-by-nc-4.0",), **values)


def test_weights_that_are_here_are_checked_before_they_are_used(
    store: Store, known: ModelSpec
) -> None:
    path = store.path(known)
    path.parent.mkdir(parents=True)
    path.write_bytes(BYTES)
    assert _locate(known, None, settings_of(store), store).path == path
    path.write_bytes(b"other")
    with pytest.raises(ConfigurationError, match=f"expected sha256 {SHA256}.*delete {path}"):
        _locate(known, None, settings_of(store), store)


def test_missing_weights_are_fetched(
    store: Store, known: ModelSpec, host: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "MODELSCOPE", host.url)
    host.files["/models/org/name/resolve/master/model.safetensors"] = BYTES
    spec = replace(known, weights=Weights(sha256=SHA256, modelscope="org/name"))
    assert _locate(spec, None, settings_of(store), store).path.read_bytes() == BYTES


def test_where_downloads_are_forbidden_the_missing_weights_are_named(
    store: Store, known: ModelSpec
) -> None:
    with pytest.raises(ConfigurationError, match=r"models pull RMBG-2\.0") as refused:
        _locate(known, None, settings_of(store, model_download="never"), store)
    assert "RMBG_MODEL_DOWNLOAD=never" in str(refused.value)


def test_weights_of_another_program_are_used(
    store: Store, known: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    path = tmp_path / "models" / "RMBG" / "RMBG-2.0" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(BYTES)
    found = _locate(known, None, settings_of(store, model_download="never"), store)
    assert found.path == path


def test_a_repository_whose_bytes_are_known_is_treated_as_what_they_are(
    store: Store, known: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.safetensors").write_bytes(BYTES)
    monkeypatch.setattr(hub, "cached", lambda *_: tmp_path)
    other = catalog.unlisted("someone/their-birefnet")
    assert _locate(other, None, settings_of(store), store).spec is known
    with pytest.raises(ConfigurationError, match="RMBG_ACCEPT_LICENSE"):
        _locate(other, None, Settings(model_dir=store.folder), store)


def test_find_takes_any_case() -> None:
    assert find("U2NET") is find("u2net")
