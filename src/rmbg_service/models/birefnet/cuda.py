"""What makes the fused network fast on a CUDA device: Triton kernels and CUDA graphs.

A prediction is about a thousand kernels of a few microseconds each. Launched one by one they take
longer to launch than to run; captured once as a graph they are replayed with a single launch.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.models.birefnet.fused_decoder import FusedBranch, like
from rmbg_service.models.birefnet.fused_swin import FusedSwinBlock, window_plan
from rmbg_service.models.birefnet.fusing import FusedBiRefNet

TOLERANCE = {torch.float16: 5e-3, torch.bfloat16: 4e-2}
"""How far a kernel may be from the plain form, as a share of the largest value."""

CHUNK_TOKENS = 2**16
"""Tokens at a time through an MLP: on a GPU this bounds memory only."""


def use_kernels(network: FusedBiRefNet) -> str | None:
    """Let `network`, on its device and in its dtype, use the Triton kernels where they work.

    Returns what prevents it: no Triton, no C compiler for it, a device that it does not know, or a
    result that is not that of the plain form. The network then stays as it is.
    """
    blocks = [module for module in network.modules() if isinstance(module, FusedSwinBlock)]
    branches = [module for module in network.modules() if isinstance(module, FusedBranch)]
    if branches[0].taps.dtype not in TOLERANCE:
        return "float32 is left to the libraries"
    try:
        from rmbg_service.models.birefnet import kernels

        _check(blocks[1], kernels.window_attention, network.backbone.window)
        _check(branches[-1], kernels.deformable_branch, 0)
    except Exception as error:  # noqa: BLE001, whatever a compiler or a driver may raise
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    for block in blocks:
        block.triton_kernel = kernels.window_attention
        block.chunk = CHUNK_TOKENS
    for branch in branches:
        branch.triton_kernel = kernels.deformable_branch
        branch.moves = _padded(branch.moves)
    return None


@torch.inference_mode()
def _check(
    module: FusedSwinBlock | FusedBranch, kernel: Callable[..., Tensor], window: int
) -> None:
    """Run `module` on noise without and with its kernel."""
    results = []
    for module.triton_kernel in (None, kernel):
        if isinstance(module, FusedSwinBlock):
            side = 2 * window + 1
            x = _noise(module.norm1.weight, 1, side * side, len(module.norm1.weight))
            plan = window_plan(side, side, window, window // 2, x.device)
            results.append(module.attend(x, plan).float())
        else:
            d, c = module.share.shape
            x = _noise(module.share, 1, 9, 11, c).permute(0, 3, 1, 2)
            out = x.new_zeros(1, 9 * 11, c)
            module(x, out)
            results.append(out.float())
    module.triton_kernel = None
    plain, fast = results
    error = float((fast - plain).abs().max() / plain.abs().max())
    if not error <= TOLERANCE[x.dtype]:
        raise ArithmeticError(f"a Triton kernel is off by {error:.1e} on this device")


def _noise(like_: Tensor, *shape: int) -> Tensor:
    random = torch.Generator(like_.device).manual_seed(0)
    return torch.randn(*shape, generator=random, device=like_.device).to(like_.dtype)


def _padded(conv: nn.Conv2d) -> nn.Conv2d:
    """`conv` with its output channels filled up to a multiple of 8, as tensor cores take them."""
    assert conv.bias is not None
    more = -conv.out_channels % 8
    weight = functional.pad(conv.weight, (0, 0, 0, 0, 0, 0, 0, more))
    return like(conv, weight, functional.pad(conv.bias, (0, more)))


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
    on every call and wait for nothing. Results are copies on the host, one call at a time.
    """

    def __init__(
        self, function: Callable[[Tensor], tuple[Tensor, ...]], device: torch.device
    ) -> None:
        self._function = function
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)
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
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            device_out = self._function(device_in)
        host_out = [torch.empty_like(out, device="cpu", pin_memory=True) for out in device_out]
        return Captured(graph, host_in, device_in, device_out, host_out)
