"""The Triton kernels, run by Triton's interpreter on the CPU, against the plain forms."""

import copy
import importlib
import math
import sys
from types import ModuleType

import pytest
import torch
from bench.models import random_network
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.models.birefnet import fused_swin, sampling
from rmbg_service.models.birefnet.cuda import CudaBranch, CudaSwinBlock, use_kernels
from rmbg_service.models.birefnet.decoder import DeformableBranch
from rmbg_service.models.birefnet.fused_decoder import FusedBranch
from rmbg_service.models.birefnet.fused_swin import FusedSwinBlock, window_plan
from rmbg_service.models.birefnet.fusing import FusedBiRefNet, fuse
from rmbg_service.models.birefnet.swin import SwinBlock

NAME = "rmbg_service.models.birefnet.kernels"


@pytest.fixture
def kernels() -> ModuleType:
    """The module with kernels, which the interpreter runs: see `tests/conftest.py`."""
    pytest.importorskip("triton", reason="Triton has wheels for Linux only")
    return importlib.import_module(NAME)


def randomised(module: nn.Module, seed: int) -> nn.Module:
    random = torch.Generator().manual_seed(seed)
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=random) * 0.2)
    for name, value in module.named_buffers():
        if name.endswith("running_var"):
            value.fill_(1)
    return module.train(False).requires_grad_(False)


def error(got: Tensor, want: Tensor) -> float:
    return float((got.double() - want.double()).abs().max() / want.double().abs().max())


@torch.inference_mode()
@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize(("window", "h", "w"), [(7, 10, 17), (12, 12, 14)])
def test_a_swin_block_is_the_plain_one(
    kernels: ModuleType, window: int, h: int, w: int, shift: int
) -> None:
    block = randomised(SwinBlock(48, 3, window, shift), 0)
    assert isinstance(block, SwinBlock)
    exact = FusedSwinBlock(copy.deepcopy(block)).double()
    half = FusedSwinBlock(block).half()
    plan = window_plan(h, w, window, shift, torch.device("cpu"))
    x = torch.randn(2, h * w, 48, generator=torch.Generator().manual_seed(1)).half()

    got = CudaSwinBlock(half, kernels)(x.clone(), plan)

    assert error(got, exact(x.double(), plan)) < 2e-3


@torch.inference_mode()
@pytest.mark.parametrize(
    ("kernel", "reach", "size"), [(1, 30.0, (6, 9)), (3, 30.0, (6, 9)), (7, 0.5, (3, 5))]
)
def test_a_deformable_branch_is_the_plain_one(
    kernels: ModuleType, kernel: int, reach: float, size: tuple[int, int]
) -> None:
    branch = randomised(DeformableBranch(16, 32, kernel), kernel)
    assert isinstance(branch, DeformableBranch)
    branch.atrous_conv.offset_conv.weight.mul_(reach)
    share = torch.randn(16, 32, generator=torch.Generator().manual_seed(2)) * 0.2
    # Both start from the same rounded weights: far-reaching offsets magnify every rounding.
    exact = FusedBranch(branch, share).half().double()
    half = FusedBranch(branch, share).half()
    x = torch.randn(2, 16, *size, generator=torch.Generator().manual_seed(3)).half()
    x = x.contiguous(memory_format=torch.channels_last)
    fast = CudaBranch(half, kernels)
    moves = fast.moves(x)
    exact.moves.forward = lambda _: moves[:, : 3 * kernel**2].double()  # type: ignore[assignment, method-assign]
    start = torch.randn(2, math.prod(size), 16, generator=torch.Generator().manual_seed(4)).half()
    got, want = start.clone(), start.double()

    fast(x, got)
    exact(x.double(), want)

    assert error(got, want) < 2e-3


@torch.inference_mode()
def test_positions_that_are_not_numbers_give_values_that_are_not_numbers(
    kernels: ModuleType,
) -> None:
    x = torch.ones(1, 16, 4, 4).half().contiguous(memory_format=torch.channels_last)
    moves = torch.zeros(1, 8, 4, 4).half().contiguous(memory_format=torch.channels_last)
    moves[0, 0, 1, 2] = float("nan")
    out = torch.zeros(1, 16, 16).half()
    eye = torch.eye(16).half()
    kernels.deformable_branch(x, moves, eye, torch.zeros(16).half(), eye, out, 1)
    assert out[0, 6].isnan().all()
    assert (out[0, torch.arange(16) != 6] == 1).all()


def small_network() -> FusedBiRefNet:
    return fuse(random_network("swin_v1_t"))


class PlainKernels(ModuleType):
    """What the kernels compute, in plain torch: the interpreter would take minutes."""

    @staticmethod
    def norm(x: Tensor, layer: nn.LayerNorm) -> Tensor:
        normed: Tensor = layer(x)
        return normed

    @staticmethod
    def add_norm(x: Tensor, delta: Tensor, layer: nn.LayerNorm, later: Tensor) -> Tensor:
        normed: Tensor = layer(x + delta)
        x.add_(delta).add_(later)
        return normed

    @staticmethod
    def window_attention(
        qkv: Tensor, padding: Tensor, tokens: Tensor, groups: Tensor, bias: Tensor
    ) -> Tensor:
        heads, n = bias.shape[1:3]
        b, t, c = qkv.shape
        rows = torch.cat((qkv, padding.expand(b, 1, c)), 1)[:, tokens]
        q, k, v = rows.view(b, -1, n, 3, heads, c // 3 // heads).permute(3, 0, 1, 4, 2, 5)
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias[groups])
        result = qkv.new_empty(b, t + 1, c // 3)
        result[:, tokens] = out.permute(0, 1, 3, 2, 4).reshape(b, -1, c // 3)
        return result[:, :t].contiguous()

    @staticmethod
    def deformable_branch(
        x: Tensor,
        moves: Tensor,
        taps: Tensor,
        bias: Tensor,
        share: Tensor,
        out: Tensor,
        kernel: int,
    ) -> None:
        b, _, h, w = x.shape
        moves = moves.permute(0, 2, 3, 1)[..., : 3 * kernel**2].reshape(b, h * w, 3, -1)
        for image, image_moves, image_out in zip(x, moves, out, strict=True):
            index, weight = sampling.corners(image_moves, 0, (h, w), kernel)
            columns = sampling.read_gathered(sampling.padded_rows(image), index, weight)
            image_out += (columns.view(h * w, -1) @ taps + bias).relu() @ share


@torch.inference_mode()
@pytest.mark.parametrize("size", [(64, 96)])
def test_a_network_with_kernels_is_the_plain_one(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setitem(sys.modules, NAME, PlainKernels(NAME))
    monkeypatch.setattr("rmbg_service.models.birefnet.kernels", PlainKernels(NAME), raising=False)
    monkeypatch.setattr(fused_swin, "chunk_tokens_of", lambda device: None)  # as on CUDA
    network = small_network()
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).half()
    x = x.contiguous(memory_format=torch.channels_last)
    exact = copy.deepcopy(network).double()(x.double()).sigmoid()
    network.half()
    assert use_kernels(network) is None
    assert sum(isinstance(module, CudaSwinBlock) for module in network.modules()) == 12
    assert float((network(x).double().sigmoid() - exact).abs().max()) < 2e-3


def test_float32_keeps_the_plain_forms() -> None:
    network = small_network()
    assert use_kernels(network) == "they are for 16-bit formats"
    assert not any(isinstance(module, CudaSwinBlock) for module in network.modules())


def test_kernels_that_cannot_be_compiled_leave_the_network_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise RuntimeError("Failed to find C compiler\nplease install one")

    monkeypatch.setitem(sys.modules, NAME, Broken(NAME))
    monkeypatch.setattr("rmbg_service.models.birefnet.kernels", Broken(NAME), raising=False)
    network = small_network().half()
    assert use_kernels(network) == "Failed to find C compiler"
    assert not any(isinstance(module, CudaSwinBlock) for module in network.modules())


def test_a_kernel_that_computes_something_else_is_not_used(
    kernels: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "norm", lambda x, layer: torch.zeros_like(x))
    network = small_network().half()
    problem = use_kernels(network)
    assert problem is not None
    assert "is off by" in problem
    assert not any(isinstance(module, CudaBranch) for module in network.modules())
