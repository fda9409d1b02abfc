import importlib
import math

import pytest
import torch
from torch import Tensor

from rmbg_service.models.birefnet import sampling
from rmbg_service.models.birefnet.decoder import BasicDecBlk, InputBlock
from rmbg_service.models.birefnet.deform import deform_conv2d
from rmbg_service.models.birefnet.fused_decoder import Fused5x5, FusedASPP, FusedBlock


def by_definition(x: Tensor, offset: Tensor, modulation: Tensor, weight: Tensor) -> Tensor:
    """Deformable convolution as the paper writes it, pixel by pixel."""
    b, channels, h, w = x.shape
    out_channels, _, k, _ = weight.shape
    out = torch.zeros(b, out_channels, h, w, dtype=x.dtype)
    for n, i, j, tap in torch.cartesian_prod(*map(torch.arange, (b, h, w, k * k))).tolist():
        y = i + tap // k - k // 2 + offset[n, 2 * tap, i, j].item()
        z = j + tap % k - k // 2 + offset[n, 2 * tap + 1, i, j].item()
        value = torch.zeros(channels, dtype=x.dtype)
        for row in (math.floor(y), math.floor(y) + 1):
            for column in (math.floor(z), math.floor(z) + 1):
                if 0 <= row < h and 0 <= column < w:
                    share = (1 - abs(y - row)) * (1 - abs(z - column))
                    value += share * x[n, :, row, column]
        out[n, :, i, j] += weight[:, :, tap // k, tap % k] @ value * modulation[n, tap, i, j]
    return out


def case(k: int, reach: float, h: int = 5, w: int = 6) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(k)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    return (
        normal(2, 3, h, w),
        reach * normal(2, 2 * k * k, h, w),
        normal(2, k * k, h, w),
        normal(4, 3, k, k),
    )


@pytest.mark.parametrize("reach", [0.0, 1.0, 20.0], ids=["still", "near", "far outside"])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_the_plain_form_is_the_definition(k: int, reach: float) -> None:
    args = case(k, reach)
    torch.testing.assert_close(deform_conv2d(*args), by_definition(*args))


@pytest.mark.parametrize("read", [sampling.read_bags, sampling.read_gathered])
@pytest.mark.parametrize("reach", [0.0, 1.0, 20.0], ids=["still", "near", "far outside"])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_the_fast_forms_are_the_plain_form(k: int, reach: float, read: object) -> None:
    x, offset, logit, weight = case(k, reach)
    h, w = x.shape[2:]
    moves = torch.stack((offset[:, 0::2], offset[:, 1::2], logit), 1).permute(0, 3, 4, 1, 2)
    out = []
    for image, image_moves in zip(x, moves.flatten(1, 2), strict=True):
        pieces = []
        for first in range(0, h * w, 7):
            index, share = sampling.corners(image_moves[first : first + 7], first, (h, w), k)
            assert callable(read)
            pieces.append(read(sampling.padded_rows(image), index, share).view(-1, 3 * k * k))
        out.append((torch.cat(pieces) @ weight.permute(2, 3, 1, 0).reshape(-1, 4)).T.view(4, h, w))
    torch.testing.assert_close(
        torch.stack(out), deform_conv2d(x, offset, 2 * logit.sigmoid(), weight)
    )


@pytest.mark.parametrize("size", [(2, 20), (20, 2)])
def test_positions_that_are_not_numbers_give_values_that_are_not_numbers(
    size: tuple[int, int],
) -> None:
    moves = torch.full((40, 3, 1), float("nan"))
    index, share = sampling.corners(moves, 0, size, 1)
    rows = sampling.padded_rows(torch.ones(3, *size))
    assert index.min() >= 0
    assert index.max() < len(rows)
    assert sampling.read_bags(rows, index, share).isnan().all()


@pytest.mark.parametrize("k", [1, 3, 7])
def test_torchvision_computes_the_same(k: int) -> None:
    try:
        ops = importlib.import_module("torchvision.ops")
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision does not import here: {error}")
    x, offset, modulation, weight = case(k, 2.0)
    reference = ops.deform_conv2d(x, offset, weight, None, padding=k // 2, mask=modulation)
    torch.testing.assert_close(deform_conv2d(x, offset, modulation, weight), reference)


def shuffle_norms(module: torch.nn.Module) -> None:
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                assert tensor is not None
                tensor.data.uniform_(0.5, 1.5)


@pytest.mark.parametrize("size", [(9, 11), (1, 1), (3, 40)])
def test_a_fused_decoder_block_is_the_plain_one(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block = BasicDecBlk(20, 12).double().eval().requires_grad_(False)
    shuffle_norms(block)
    x = torch.randn(2, 20, *size, dtype=torch.float64)
    torch.testing.assert_close(FusedBlock(block)(x), block(x))


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    block = BasicDecBlk(20, 12).double().eval().requires_grad_(False)
    fused, x = FusedASPP(block.dec_att), torch.randn(2, 64, 9, 11, dtype=torch.float64)
    whole = fused(x)
    monkeypatch.setattr(sampling, "CPU_CHUNK_BYTES", 1)
    torch.testing.assert_close(fused(x), whole)


@pytest.mark.parametrize("size", [(32, 32), (4, 8), (64, 36)])
def test_one_5x5_convolution_is_the_two_3x3_also_at_the_border(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block = InputBlock(3, 6).double().requires_grad_(False)
    last = torch.randn(6, dtype=torch.float64)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = torch.einsum("d,bdhw->bhw", last, block(x))[:, None]
    torch.testing.assert_close(Fused5x5(block, last)(x), expected)
