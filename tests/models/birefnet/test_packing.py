import pytest
import torch
from bench.models import random_network
from torch import nn
from torch.nn import functional

from rmbg_service.models.birefnet import packing
from rmbg_service.models.birefnet.fusing import fuse
from rmbg_service.models.birefnet.packing import (
    ActiveLinear,
    PackedLinear,
    add_linear,
    can_pack,
    pack,
)

needs_onednn = pytest.mark.skipif(
    not can_pack(torch.float32), reason="this build of PyTorch does not pack linear layers"
)


def layers() -> nn.Sequential:
    """Three linear layers, two with an activation, and a norm."""
    torch.manual_seed(0)
    weight, bias = torch.randn(64, 48) / 7, torch.randn(64)
    return nn.Sequential(
        ActiveLinear.of(weight, bias, "gelu"),
        nn.LayerNorm(64),
        ActiveLinear.of(torch.randn(64, 64) / 8, bias, "relu"),
        nn.Linear(64, 32, bias=False),
    )


@torch.inference_mode()
def test_an_active_layer_is_the_layer_and_its_activation() -> None:
    weight, bias, x = torch.randn(8, 16), torch.randn(8), torch.randn(5, 16)
    linear = functional.linear(x, weight, bias)
    assert torch.equal(ActiveLinear.of(weight, bias, "gelu")(x), functional.gelu(linear))
    assert torch.equal(ActiveLinear.of(weight, bias, "relu")(x), linear.relu())
    assert torch.equal(ActiveLinear.of(weight, bias, "none")(x), linear)


@needs_onednn
@torch.inference_mode()
def test_a_packed_layer_computes_the_same() -> None:
    plain = layers()
    x = torch.randn(2, 17, 48)
    expected = plain(x)
    pack(plain, 34)
    assert [type(layer) for layer in plain] == [PackedLinear, nn.LayerNorm, *2 * [PackedLinear]]
    torch.testing.assert_close(plain(x), expected)
    torch.testing.assert_close(plain(x[:, :3]), expected[:, :3])  # another number of rows


@needs_onednn
@torch.inference_mode()
def test_a_packed_layer_is_added_to_what_it_gets() -> None:
    layer = nn.Linear(64, 32, bias=False)
    x, other = torch.randn(2, 17, 64), torch.randn(2, 17, 32)
    expected = other + layer(x)
    for form in (layer, PackedLinear(layer, 34)):
        torch.testing.assert_close(add_linear(other.clone(), form, x), expected)


def test_a_build_without_the_operator_packs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing(nn.Module):
        def __init__(self, *_: object) -> None:
            raise AttributeError("no such operator")

    monkeypatch.setattr(packing, "PackedLinear", Missing)
    assert not can_pack(torch.float32)


def test_an_operator_that_computes_something_else_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Wrong(nn.Module):
        def __init__(self, *_: object) -> None:
            super().__init__()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :32]

        def added(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return x[:, :32] + other

    monkeypatch.setattr(packing, "PackedLinear", Wrong)
    assert not can_pack(torch.float32)


@needs_onednn
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("dtype", "mean", "worst"), [(torch.float32, 1e-5, 1e-3), (torch.bfloat16, 1e-3, 1e-2)]
)
@torch.inference_mode()
def test_a_packed_network_gives_the_matte_of_the_exact_one(
    dtype: torch.dtype, mean: float, worst: float
) -> None:
    x = torch.randn(1, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    network = fuse(random_network("swin_v1_t"))
    expected = network(x).sigmoid()
    network.to(dtype).pack()
    error = (network(x.to(dtype)).float().sigmoid() - expected).abs()
    assert error.mean() < mean
    assert error.max() < worst
