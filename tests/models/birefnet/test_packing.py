import pytest
import torch
from bench.models import random_network
from torch import nn

from rmbg_service.models.birefnet import packing
from rmbg_service.models.birefnet.fusing import fuse
from rmbg_service.models.birefnet.packing import PackedLinear, can_pack, linear_gelu, pack

needs_onednn = pytest.mark.skipif(
    not can_pack(torch.float32), reason="this build of PyTorch does not pack linear layers"
)


@needs_onednn
@torch.inference_mode()
def test_a_packed_layer_computes_the_same() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(
        linear_gelu(nn.Linear(48, 64)), nn.LayerNorm(64), nn.Linear(64, 32, bias=False)
    )
    x = torch.randn(2, 17, 48)
    expected = plain(x)
    pack(plain, 34)
    assert [type(layer) for layer in plain] == [PackedLinear, nn.LayerNorm, PackedLinear]
    torch.testing.assert_close(plain(x), expected)
    torch.testing.assert_close(plain(x[:, :3]), expected[:, :3])  # another number of rows


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
