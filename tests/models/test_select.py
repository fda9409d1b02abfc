import hashlib
from pathlib import Path

import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.select import WEIGHTS, _spec_of_file, select_predictor
from rmbg_service.settings import Settings


def test_the_embedded_weights_are_the_published_ones() -> None:
    digest = hashlib.sha256((WEIGHTS / "u2netp.onnx").read_bytes()).hexdigest()
    assert digest == "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
    assert "Apache License" in (WEIGHTS / "LICENSE-u2net.txt").read_text()


def test_a_well_known_file_brings_its_own_normalisation() -> None:
    row = _spec_of_file(Path("somewhere/isnet-general-use.onnx"), Settings())
    assert (row.mean, row.std, row.licence) == ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0), "Apache-2.0")


def test_settings_say_how_any_other_file_is_fed() -> None:
    settings = Settings(
        onnx_mean=(0.1, 0.2, 0.3),
        onnx_std=(1, 2, 3),
        onnx_activation="sigmoid",
        onnx_input_size=512,
    )
    row = _spec_of_file(Path("mine.onnx"), settings)
    assert (row.name, row.licence, row.input_size) == ("mine", "unknown", (512, 512))
    assert (row.mean, row.std, row.activation) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0), "sigmoid")


@pytest.mark.parametrize("model", ["no-such-model", "absent.onnx"])
def test_an_unknown_model_is_refused(model: str) -> None:
    with pytest.raises(ConfigurationError, match=model):
        select_predictor(Settings(model=model))


def cache_with(monkeypatch: pytest.MonkeyPatch, *repositories: str) -> None:
    def cached(repo: str, revision: str) -> Path | None:
        return Path("somewhere") if repo in repositories else None

    monkeypatch.setattr("rmbg_service.models.hub.cached", cached)


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
    for model in ("RMBG-2.0", "briaai/RMBG-2.0"):
        with pytest.raises(
            ConfigurationError, match=r"RMBG_ACCEPT_LICENSE=cc-by-nc-4\.0"
        ) as refused:
            select_predictor(Settings(model=model))
        assert "\n" not in str(refused.value)
        accepted = Settings(model=model, accept_license=("CC-BY-NC-4.0",))
        assert select_predictor(accepted).name == "RMBG-2.0"


def test_names_folders_and_other_repositories_become_birefnets(tmp_path: Path) -> None:
    assert select_predictor(Settings(model="birefnet_LITE")).name == "BiRefNet_lite"
    assert select_predictor(Settings(model=str(tmp_path))).name == tmp_path.name
    assert select_predictor(Settings(model="someone/their-birefnet")).name == "their-birefnet"
