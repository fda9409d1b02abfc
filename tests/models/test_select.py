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
