"""The network against the numbers of the reference implementation; see parity/README.md."""

import hashlib
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rmbg_service.models.birefnet.checkpoint import UNUSED
from rmbg_service.models.birefnet.fusing import fuse
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.swin import relative_position_index
from tests.models.birefnet.conftest import network
from tests.models.birefnet.parity import recipe

SMALL = ["t_256", "t_288x352", "t_256_rmbg", "l_256", "l_288x352", "l_256_rmbg"]
LARGE = [("t_1024",), ("l_1024", "l_1024_rmbg")]
"""Cases that differ in the patch order only are together."""


def prepared(name: str) -> tuple[BiRefNet, Tensor]:
    """The network of a case, and its input."""
    case = recipe.expected()["cases"][name]
    x = recipe.normalise(recipe.image(case["height"], case["width"]))
    return network(case["backbone"], case["patch_order"]), x


def run(name: str, form: str, dtype: torch.dtype = torch.float32) -> NDArray[np.float64]:
    """The logits `(H, W)` of a case."""
    plain, x = prepared(name)
    nn.Module.to(plain, dtype)
    x = x.to(dtype)
    with torch.inference_mode():
        return values(fuse(plain)(x) if form == "fused" else plain(x).logits)


def values(logits: Tensor) -> NDArray[np.float64]:
    """Logits `(1, 1, H, W)` as an array `(H, W)`."""
    array: NDArray[np.float64] = logits[0, 0].double().numpy()
    return array


def pairs(name: str, logits: NDArray[np.float64]) -> list[tuple[Any, Any]]:
    """Computed and expected logits of a case: the grid and, where there is one, the crop."""
    expected, step = recipe.logits(), recipe.expected()["cases"][name]["step"]
    found = [(logits[::step, ::step], expected[f"{name}.grid"])]
    if f"{name}.crop" in expected:
        found.append((logits[480:544, 480:544], expected[f"{name}.crop"]))
    return found


def sigmoid(x: NDArray[Any]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def check(name: str, logits: NDArray[np.float64], worst: float, mean: float) -> None:
    for computed, expected in pairs(name, logits):
        error = np.abs(sigmoid(computed) - sigmoid(expected))
        assert error.max() < worst
        assert error.mean() < mean
    h, w = logits.shape
    blocks = logits.reshape(h // 32, 32, w // 32, 32).mean((1, 3))
    np.testing.assert_allclose(blocks, recipe.logits()[f"{name}.block32"], atol=2e-3)


@pytest.mark.parametrize("backbone", ["swin_v1_t", "swin_v1_l"])
def test_the_recipe_gives_the_weights_that_the_reference_had(backbone: str) -> None:
    weights = recipe.official(backbone)
    digest = hashlib.sha256()
    for key in sorted(weights):
        if weights[key].is_floating_point():
            digest.update(key.encode() + b"\0" + weights[key].numpy().astype("<f4").tobytes())
    expected = recipe.expected()["weights"][backbone]
    assert digest.hexdigest() == expected["sha256_sorted_float_entries"]


@pytest.mark.parametrize("name", ["t_256", "t_288x352", "t_1024"])
def test_the_recipe_gives_the_picture_that_the_reference_had(name: str) -> None:
    case = recipe.expected()["cases"][name]
    picture = recipe.image(case["height"], case["width"])
    assert hashlib.sha256(picture.tobytes()).hexdigest() == case["image_sha256"]


@pytest.mark.parametrize("backbone", ["swin_v1_t", "swin_v1_l"])
def test_keys_and_shapes_are_the_official_ones(backbone: str) -> None:
    official = {key: shape for key, (shape, _) in recipe.keys(backbone).items()}
    ours = {key: tuple(value.shape) for key, value in network(backbone).state_dict().items()}
    unused = {key for key in official if UNUSED.match(key)}
    assert ours == {key: shape for key, shape in official.items() if key not in unused}
    kinds = {key.rpartition(".")[2] for key in unused if key.startswith("bb.")}
    assert kinds == {"relative_position_index"}
    heads = {key.split(".")[1][:-1] for key in unused if not key.startswith("bb.")}
    assert heads == {"conv_ms_spvn_", "gdt_convs_pred_"}


@pytest.mark.parametrize(("backbone", "window"), [("swin_v1_t", 7), ("swin_v1_l", 12)])
def test_the_computed_position_index_is_the_stored_one(backbone: str, window: int) -> None:
    index = relative_position_index(window).numpy().astype("<i8")
    expected = recipe.expected()["weights"][backbone]["relative_position_index_sha256"]
    assert hashlib.sha256(index.tobytes()).hexdigest() == expected


@pytest.mark.timeout(300)
@pytest.mark.parametrize("form", ["plain", "fused"])
@pytest.mark.parametrize("name", SMALL)
def test_small_pictures(name: str, form: str) -> None:
    check(name, run(name, form), worst=1e-3, mean=3e-5)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("names", LARGE)
@torch.inference_mode()
def test_large_pictures(names: tuple[str, ...]) -> None:
    """The encoder, which takes most of the time, does not know the patch order: it runs once."""
    encoded = None
    for name in names:
        plain, x = prepared(name)
        fused = fuse(plain)
        encoded = encoded or fused.encode(x, fused.plans(x))
        logits = fused.decoder(x, *encoded)
        check(name, values(logits), worst=1e-2, mean=1e-4)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("form", ["plain", "fused"])
def test_in_float64_the_logits_agree(form: str) -> None:
    for computed, expected in pairs("t_256", run("t_256", form, torch.float64)):
        assert np.abs(computed - expected).max() < 1e-4
