"""What makes the fused network fast on a CUDA device: Triton kernels and CUDA graphs.

A prediction is about a thousand kernels of a few microseconds each. Launched one by one they take
longer to launch than to run; captured once as a graph they are replayed with a single launch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.models.birefnet.fused_decoder import (
    FusedASPP,
    FusedBlock,
    FusedBranch,
    like,
)
from rmbg_service.models.birefnet.fused_swin import FusedSwinBlock, WindowPlan, window_plan
from rmbg_service.models.birefnet.fusing import FusedBiRefNet
from rmbg_service.models.birefnet.swin import PatchEmbed
from rmbg_service.models.predictor import first_line

TOLERANCE = {torch.float16: 5e-3, torch.bfloat16: 4e-2}
"""How far a module with kernels may be from the plain one, as a share of the largest value."""

CHUNK_TOKENS = 2**16
"""Tokens at a time through an MLP, which bounds its memory."""


class CudaSwinBlock(nn.Module):
    """`FusedSwinBlock` by Triton kernels; 16-bit only."""

    def __init__(self, block: FusedSwinBlock, kernels: Any) -> None:
        super().__init__()
        self.norm1, self.qkv, self.proj = block.norm1, block.qkv, block.proj
        self.norm2, self.fc1, self.fc2 = block.norm2, block.fc1, block.fc2
        self.bias = block.bias
        self.kernels = kernels

    def forward(self, x: Tensor, plan: WindowPlan) -> Tensor:
        """`(B, T, C)` to the same, in place."""
        (windows,) = plan
        qkv = self.qkv(self.kernels.norm(x, self.norm1))
        out = self.kernels.window_attention(
            qkv, self.qkv.bias, windows.gather, windows.group, self.bias
        )
        # The bias of the last layer is added here, so that its product can be added in place.
        normed = self.kernels.add_norm(x, self.proj(out), self.norm2, self.fc2.bias)
        matrix = self.fc2.weight.T
        parts = torch.split(x.flatten(0, 1), CHUNK_TOKENS)
        for part, source in zip(
            parts, torch.split(normed.flatten(0, 1), CHUNK_TOKENS), strict=True
        ):
            part.addmm_(self.fc1(source), matrix)
        return x


class CudaNorm(nn.Module):
    """A `LayerNorm` by a Triton kernel; 16-bit only."""

    def __init__(self, layer: nn.LayerNorm, kernels: Any) -> None:
        super().__init__()
        self.layer = layer
        self.kernels = kernels

    def forward(self, x: Tensor) -> Tensor:
        """`(..., C)` to the same."""
        out: Tensor = self.kernels.norm(x.contiguous(), self.layer)
        return out


class CudaPatchEmbed(nn.Module):
    """`PatchEmbed` as a product: convolutions of 3 channels are slow."""

    def __init__(self, embed: PatchEmbed, kernels: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(embed.proj.weight.flatten(1), requires_grad=False)
        self.bias = embed.proj.bias
        self.norm = CudaNorm(embed.norm, kernels)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 3, H, W)` to `(B, H / 4, W / 4, C)`."""
        patches = functional.pixel_unshuffle(x, 4).permute(0, 2, 3, 1)
        out: Tensor = self.norm(functional.linear(patches, self.weight, self.bias))
        return out


class CudaBranch(nn.Module):
    """`FusedBranch` by a Triton kernel; 16-bit only."""

    def __init__(self, branch: FusedBranch, kernels: Any) -> None:
        super().__init__()
        self.kernel = branch.kernel
        self.taps = nn.Parameter(branch.taps.weight.T.contiguous(), requires_grad=False)
        self.bias, self.share = branch.taps.bias, branch.share
        self.moves = with_padded_outputs(branch.moves)
        self.kernels = kernels

    def forward(self, x: Tensor, out: Tensor) -> None:
        """Add this branch for `x` `(B, 64, H, W)` to `out` `(B, H * W, 64)`."""
        x = x.contiguous(memory_format=torch.channels_last)
        moves = self.moves(x).contiguous(memory_format=torch.channels_last)
        self.kernels.deformable_branch(x, moves, self.taps, self.bias, self.share, out, self.kernel)


def use_kernels(network: FusedBiRefNet) -> str | None:
    """Let `network`, on its device and in its dtype, use the Triton kernels where they work.

    Returns what prevents it: float32, no Triton, no C compiler for it, a device that it does not
    know, or a result that is not that of the plain form. The network then stays as it is.
    """
    window = network.backbone.window
    block = network.backbone.stages[0][1]  # type: ignore[index]
    branch = network.squeeze.attention.branches[-1]
    assert isinstance(block, FusedSwinBlock)
    assert isinstance(branch, FusedBranch)
    if branch.taps.weight.dtype not in TOLERANCE:
        return "they are for 16-bit formats"
    try:
        from rmbg_service.models.birefnet import kernels

        _compare(_try_block(CudaSwinBlock(block, kernels), window), _try_block(block, window))
        _compare(_try_branch(CudaBranch(branch, kernels)), _try_branch(branch))
    except Exception as error:
        return first_line(error)
    for stage in network.backbone.stages:
        assert isinstance(stage, nn.ModuleList)
        for i, block in enumerate(stage):
            assert isinstance(block, FusedSwinBlock)
            stage[i] = CudaSwinBlock(block, kernels)
    for aspp in [module for module in network.modules() if isinstance(module, FusedASPP)]:
        for i, branch in enumerate(aspp.branches):
            assert isinstance(branch, FusedBranch)
            aspp.branches[i] = CudaBranch(branch, kernels)
    backbone = network.backbone
    assert isinstance(backbone.embed, PatchEmbed)
    backbone.add_module("embed", CudaPatchEmbed(backbone.embed, kernels))
    for parent in (backbone.norms, *backbone.merges):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.LayerNorm):
                parent.add_module(name, CudaNorm(layer, kernels))
    final = network.decoder.blocks["1"]
    assert isinstance(final, FusedBlock)
    final.conv_out = with_padded_outputs(final.conv_out)
    image = network.decoder.image
    image.first, image.second = with_padded_inputs(image.first), with_padded_outputs(image.second)
    return None


def with_padded_outputs(conv: nn.Conv2d) -> nn.Conv2d:
    """`conv` with output channels of zeros up to a multiple of 8, which tensor cores ask for."""
    assert conv.bias is not None
    more = -conv.out_channels % 8
    weight = functional.pad(conv.weight, (0, 0, 0, 0, 0, 0, 0, more))
    return like(conv, weight, functional.pad(conv.bias, (0, more)))


def with_padded_inputs(conv: nn.Conv2d) -> nn.Conv2d:
    """The same for input channels."""
    assert conv.bias is not None
    weight = functional.pad(conv.weight, (0, 0, 0, 0, 0, -conv.in_channels % 8))
    return like(conv, weight, conv.bias)


@torch.inference_mode()
def _try_block(block: FusedSwinBlock | CudaSwinBlock, window: int) -> Tensor:
    side = 2 * window + 1
    x = _noise(block.norm1.weight, 2, side * side, len(block.norm1.weight))
    out: Tensor = block(x, window_plan(side, side, window, window // 2, x.device))
    return out


@torch.inference_mode()
def _try_branch(branch: FusedBranch | CudaBranch) -> Tensor:
    c = branch.share.shape[1]
    x = _noise(branch.share, 2, 9, 11, c).permute(0, 3, 1, 2)
    out = x.new_zeros(2, 9 * 11, c)
    branch(x, out)
    return out


def _noise(weight: Tensor, *shape: int) -> Tensor:
    random = torch.Generator(weight.device).manual_seed(0)
    return torch.randn(*shape, generator=random, device=weight.device).to(weight.dtype)


def _compare(fast: Tensor, plain: Tensor) -> None:
    error = float((fast.float() - plain.float()).abs().max() / plain.float().abs().max())
    if not error <= TOLERANCE[plain.dtype]:
        raise ArithmeticError(f"a Triton kernel is off by {error:.1e} on this device")


class Captured(NamedTuple):
    """A graph, and the tensors that it reads and writes: on the host (pinned) and on the device."""

    graph: torch.cuda.CUDAGraph
    host_in: Tensor
    device_in: Tensor
    device_out: tuple[Tensor, ...]
    host_out: list[Tensor]


class GraphedFunction:
    """A function of a uint8 tensor on a CUDA device, captured as one graph for each input shape.

    `function` takes a tensor of the shape and returns a tuple of tensors. It must do the same work
    on every call and wait for nothing. One call at a time.
    """

    def __init__(
        self, function: Callable[[Tensor], tuple[Tensor, ...]], device: torch.device
    ) -> None:
        self._function = function
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._captured: dict[tuple[int, ...], Captured] = {}

    @torch.inference_mode()
    def __call__(self, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[Tensor]:
        """What `function` returns, on the host; valid until the next call."""
        if pixels.shape not in self._captured:
            self._captured[pixels.shape] = self._capture(pixels)
        graph, host_in, device_in, device_out, host_out = self._captured[pixels.shape]
        with torch.cuda.stream(self._stream):
            host_in.copy_(torch.from_numpy(pixels))
            device_in.copy_(host_in, non_blocking=True)
            graph.replay()
            for host, device in zip(host_out, device_out, strict=True):
                host.copy_(device, non_blocking=True)
        self._stream.synchronize()
        return host_out

    def _capture(self, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Captured:
        host_in = torch.from_numpy(pixels).pin_memory()
        device_in = host_in.to(self._device)
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            for _ in range(2):  # libraries choose their algorithms, Triton compiles
                self._function(device_in)
        self._stream.synchronize()
        torch.cuda.empty_cache()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
        ):
            device_out = self._function(device_in)
        host_out = [torch.empty_like(out, device="cpu", pin_memory=True) for out in device_out]
        return Captured(graph, host_in, device_in, device_out, host_out)
