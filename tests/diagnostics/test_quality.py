from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from rmbg_service.diagnostics.quality import (
    MIN_IOU,
    Quality,
    measure_quality,
    quality_of,
    require_quality,
)
from rmbg_service.errors import ConfigurationError
from rmbg_service.evaluation.scenes import make_scene
from rmbg_service.models.catalog import EMBEDDED
from rmbg_service.models.onnx import OnnxPredictor
from rmbg_service.models.predictor import Located
from rmbg_service.models.reference_image import reference_input, reference_matte
from rmbg_service.models.spec import ModelSpec
from rmbg_service.models.store import EMBEDDED_PATH
from rmbg_service.types import Matte


def noise_network(path: Path) -> Path:
    """A network of 64 x 64 that answers noise, whatever it is shown."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("RandomUniformLike", ["mean"], ["y"], seed=1.0),
    ]
    feed = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 64, 64))
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "noise", [feed], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


def quality(spec: ModelSpec, path: Path = EMBEDDED_PATH) -> Quality:
    predictor = OnnxPredictor(spec, lambda: Located(spec, path))
    predictor.load()
    return measure_quality(predictor)


def test_the_embedded_model_works() -> None:
    found = quality(EMBEDDED)
    assert found.iou == pytest.approx(0.938, abs=0.005)
    assert found.mae == pytest.approx(0.0064, abs=0.001)
    require_quality("u2netp", found)


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0, 0, 0), (1, 1, 1)), ((0.5, 0.5, 0.5), (1, 1, 1)), ((0, 0, 0), (1 / 255,) * 3)],
    ids=["none", "that of another network", "bytes"],
)
def test_a_wrong_normalisation_is_caught(
    mean: tuple[float, float, float], std: tuple[float, float, float]
) -> None:
    found = quality(replace(EMBEDDED, mean=mean, std=std))
    with pytest.raises(ConfigurationError, match=r"u2netp does not cut out .* at least 0\.85"):
        require_quality("u2netp", found)


def test_a_network_that_answers_noise_is_caught(tmp_path: Path) -> None:
    assert quality(EMBEDDED, noise_network(tmp_path / "noise.onnx")).iou < 0.2


@pytest.mark.parametrize("make", [np.zeros, np.ones, lambda size: 1 - reference_matte(size)])
def test_a_matte_that_ignores_the_subject_is_caught(
    make: Callable[[tuple[int, int]], Matte],
) -> None:
    assert not quality_of(make((96, 128))).sufficient


@pytest.mark.parametrize("size", [(320, 320), (1024, 1024), (1440, 2560)])
def test_the_known_matte_is_perfect_at_any_size(size: tuple[int, int]) -> None:
    assert reference_input(size).shape == (*size, 3)
    assert quality_of(reference_matte(size)) == (1.0, 0.0)
    assert MIN_IOU < 1


def test_the_reference_is_the_scene_that_its_description_names() -> None:
    scene = make_scene(18)
    height, width = scene.alpha.shape
    stored = reference_input((height, width)).astype(int)
    assert np.abs(stored - scene.rgb).mean() < 3  # JPEG
    np.testing.assert_array_equal(np.rint(reference_matte((height, width)) * 255), scene.alpha)
