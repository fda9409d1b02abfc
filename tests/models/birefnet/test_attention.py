import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rmbg_service.models.birefnet import attention
from rmbg_service.models.birefnet.attention import window_attention
from rmbg_service.models.birefnet.fused_swin import window_masks


def case(scale: float) -> tuple[Tensor, Tensor]:
    """`qkv` and a bias with a shift mask, of six windows of 49 tokens and three heads."""
    random = torch.Generator().manual_seed(0)
    qkv = torch.randn(6, 49, 3, 3, 32, generator=random) * scale
    bias = torch.randn(3, 49, 49, generator=random) + window_masks(7, 3)[3]
    return qkv.bfloat16(), bias.bfloat16()


def exact(qkv: Tensor, bias: Tensor) -> Tensor:
    q, k, v = qkv.double().permute(2, 0, 3, 1, 4)
    y = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.double()[None])
    return y.transpose(1, 2).reshape(6, 49, 96)


@pytest.fixture
def without_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "cpu_has_amx", lambda: False)


@pytest.mark.usefixtures("without_amx")
@pytest.mark.parametrize("scores_at_a_time", [1, 2**20])
@pytest.mark.parametrize(("scale", "mean", "worst"), [(1.0, 0.004, 0.1), (8.0, 0.06, 16.0)])
@torch.inference_mode()
def test_products_in_bf16_are_attention_however_large_the_scores(
    monkeypatch: pytest.MonkeyPatch, scale: float, mean: float, worst: float, scores_at_a_time: int
) -> None:
    monkeypatch.setattr(attention, "CPU_SCORES", scores_at_a_time)
    qkv, bias = case(scale)
    largest = (qkv[:, :, 0].double().norm(dim=-1) * qkv[:, :, 1].double().norm(dim=-1)).max()
    assert (largest > attention.EXP_LIMIT * 32**0.5) == (scale > 1)  # both ways are taken
    error = (window_attention(qkv, bias, 10.0).double() - exact(qkv, bias)).abs()
    # In bfloat16 a score of 200 is rounded to a multiple of 1, which can change its row.
    assert error.mean() < mean
    assert error.max() < worst


@pytest.mark.parametrize("scale", [1.0, 8.0])
@torch.inference_mode()
def test_with_amx_the_fused_kernel_is_taken(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    monkeypatch.setattr(attention, "cpu_has_amx", lambda: True)
    monkeypatch.setattr(attention, "_by_products", None)
    qkv, bias = case(scale)
    error = (window_attention(qkv, bias, 10.0).double() - exact(qkv, bias)).abs()
    assert error.mean() < 0.02 * scale


@pytest.mark.usefixtures("without_amx")
@torch.inference_mode()
def test_a_value_that_is_not_a_number_stays_one() -> None:
    qkv, bias = case(1.0)
    qkv[0, 0] = math.nan
    assert window_attention(qkv, bias, 10.0)[0].isnan().any()


@torch.inference_mode()
def test_other_formats_use_the_fused_kernel() -> None:
    qkv, bias = case(1.0)
    torch.testing.assert_close(window_attention(qkv.double(), bias.double(), 0), exact(qkv, bias))
