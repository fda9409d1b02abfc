import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.birefnet import precision
from rmbg_service.models.birefnet.fusing import fuse
from rmbg_service.models.birefnet.precision import choose_precision
from tests.models.birefnet.conftest import network
from tests.models.birefnet.parity import recipe
from tests.models.birefnet.test_parity import pairs, sigmoid

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
    ("in_hardware", "auto", "bf16"),
    [
        (True, "would compute bf16 faster, but less accurately", "set by RMBG_DTYPE"),
        (False, "auto: cpu", "only emulates it"),
    ],
)
def test_auto_is_fp32_on_a_cpu_and_the_reason_says_what_the_cpu_can(
    monkeypatch: pytest.MonkeyPatch, in_hardware: bool, auto: str, bf16: str
) -> None:
    monkeypatch.setattr(precision, "cpu_computes_bf16", lambda: in_hardware)
    assert choose_precision("auto", CPU).dtype == torch.float32
    assert auto in choose_precision("auto", CPU).reason
    assert choose_precision("bf16", CPU).dtype == torch.bfloat16
    assert bf16 in choose_precision("bf16", CPU).reason


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
