import math

import numpy as np
import pytest
import torch
from bench.models import random_network
from numpy.typing import NDArray
from torch import Tensor, nn

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.birefnet import precision
from rmbg_service.models.birefnet.fusing import fuse
from rmbg_service.models.birefnet.precision import after_trial, choose_precision, needs_trial
from rmbg_service.models.birefnet.trial import SIDE, rounding_error, trial_image
from rmbg_service.models.trial import Difference
from tests.models.birefnet.conftest import network
from tests.models.birefnet.parity import recipe
from tests.models.birefnet.test_parity import pairs, sigmoid
from tests.models.birefnet.test_predictor import FIXED

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize(
    ("capability", "name", "reason"),
    [((6, 1), "fp32", "6.1 is below 7.0"), ((7, 0), "fp16", "auto: compute capability 7.0")],
)
def test_auto_is_fp16_on_tensor_cores(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], name: str, reason: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    chosen = choose_precision("auto", CUDA)
    assert chosen.name == name
    assert reason in chosen.reason


@pytest.mark.parametrize(
    ("in_hardware", "reason"), [(True, "set by RMBG_DTYPE"), (False, "only emulates it")]
)
def test_bf16_by_setting_says_whether_the_cpu_emulates_it(
    monkeypatch: pytest.MonkeyPatch, in_hardware: bool, reason: str
) -> None:
    monkeypatch.setattr(precision, "cpu_computes_bf16", lambda: in_hardware)
    assert choose_precision("bf16", CPU).dtype == torch.bfloat16
    assert reason in choose_precision("bf16", CPU).reason
    assert choose_precision("auto", CPU) == ("fp32", "auto: cpu")


def test_only_auto_on_a_cpu_with_bf16_needs_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_computes_bf16", lambda: True)
    assert needs_trial("auto", CPU)
    assert not needs_trial("auto", CUDA)
    assert not needs_trial("fp32", CPU)
    monkeypatch.setattr(precision, "cpu_computes_bf16", lambda: False)
    assert not needs_trial("auto", CPU)


@pytest.mark.parametrize(
    ("mean", "tail", "name"),
    [
        (1e-3, 0.01, "bf16"),
        (3e-3, 0.01, "fp32"),
        (1e-3, 0.06, "fp32"),
        (math.nan, math.nan, "fp32"),
    ],
)
def test_auto_takes_bf16_if_it_changes_little(mean: float, tail: float, name: str) -> None:
    chosen = after_trial(Difference(mean, tail))
    assert chosen.name == name
    assert f"{mean:.1e} on average" in chosen.reason


@pytest.mark.timeout(300)
def test_the_parity_weights_are_refused_and_steady_ones_taken() -> None:
    mean, std = FIXED.mean, FIXED.std
    chaotic = rounding_error(fuse(network("swin_v1_t")), mean, std)
    calm = rounding_error(fuse(random_network("swin_v1_t")), mean, std)
    assert after_trial(chaotic).name == "fp32"
    assert chaotic.mean < 0.03
    assert after_trial(calm).name == "bf16"
    assert calm.mean < 1e-3
    assert calm.tail < 5e-3


def test_a_value_that_is_not_a_number_is_not_a_small_difference() -> None:
    assert not rounding_error(Overflowing(), (0.5,) * 3, (0.5,) * 3).small


class Overflowing(nn.Module):
    """Finite in float32 only."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] * (math.nan if x.dtype == torch.bfloat16 else 1)


def test_the_trial_image_has_structure() -> None:
    image = trial_image()
    assert image.shape == (3, SIDE, SIDE)
    assert 0 <= image.min() < 0.2
    assert 0.9 < image.max() <= 1
    assert (image.diff().abs() > 0.1).float().mean() > 0.01  # edges


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="RMBG_DTYPE=fp16 needs an accelerator"):
        choose_precision("fp16", CPU)
    with pytest.raises(ConfigurationError, match="RMBG_DTYPE=int8 is not one of"):
        choose_precision("int8", CPU)


@pytest.mark.parametrize(
    ("machine", "flags", "found"),
    [
        ("x86_64", (), False),
        ("x86_64", ("_is_amx_tile_supported",), True),
        ("AMD64", ("_is_avx512_bf16_supported",), True),
    ],
)
def test_bf16_instructions_are_found(
    monkeypatch: pytest.MonkeyPatch, machine: str, flags: tuple[str, ...], found: bool
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name in flags, raising=False)
    assert precision.cpu_computes_bf16() is found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("dtype", "mean", "worst"), [("fp32", 1e-6, 1e-5), ("bf16", 1e-3, 1e-2)])
def test_each_format_that_auto_can_choose_is_close_to_float64(
    dtype: str, mean: float, worst: float
) -> None:
    x = recipe.normalise(recipe.image(256, 256)).double()
    exact, low = (fuse(random_network("swin_v1_t")) for _ in range(2))
    low.to(precision.DTYPES[dtype]).pack()
    with torch.inference_mode():
        expected = exact.double()(x).sigmoid()
        found = low(x.to(precision.DTYPES[dtype])).double().sigmoid()
    error = (found - expected).abs()
    assert error.mean() < mean
    assert error.max() < worst


@pytest.mark.timeout(300)
def test_bf16_adds_little_to_what_rounded_weights_cost() -> None:
    """The parity weights suffer from bfloat16 whatever computes with them."""
    x = recipe.normalise(recipe.image(256, 256))
    exact, low = (fuse(network("swin_v1_t")) for _ in range(2))
    for value in exact.parameters():
        value.data = value.data.bfloat16().float()
    with torch.inference_mode():
        rounded = _errors(exact(x)[0, 0].double().numpy())
        computed = _errors(low.bfloat16()(x.bfloat16())[0, 0].double().numpy())
    assert 0.005 < rounded.mean() < 0.03
    assert computed.mean() < 1.6 * rounded.mean()
    assert np.quantile(computed, 0.99) < 1.6 * np.quantile(rounded, 0.99)


def _errors(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    ((computed, expected),) = pairs("t_256", logits)
    error: NDArray[np.float64] = np.abs(sigmoid(computed) - sigmoid(expected))
    return error
