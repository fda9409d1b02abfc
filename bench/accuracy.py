"""Where BiRefNet loses accuracy on this CPU: errors against float64, stage by stage.

    python -m bench.accuracy                     # both backbones, 256 x 256
    python -m bench.accuracy --dtype fp32 bf16 --size 512

The fused network runs in float64 and in each format; after each stage the table has the root mean
square of the difference over that of the float64 values, for the matte the mean and the worst
difference. Two kinds of random weights: *steady* ones keep the size of the signal from layer to
layer, as training does; those of the parity cases magnify every rounding. `rounded weights` are
bfloat16 weights in a network that computes in float64: what no arithmetic can win back. `narrow
positions` reads the deformable taps at positions that are rounded to the format, too.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from tests.models.birefnet.conftest import network as parity_network
from tests.models.birefnet.parity import recipe
from torch import Tensor, nn

from bench.models import DTYPES, random_network
from rmbg_service.models.birefnet import sampling
from rmbg_service.models.birefnet.fusing import FusedBiRefNet, fuse
from rmbg_service.models.birefnet.modeling import BiRefNet

Values = dict[str, Tensor]
NETWORKS: dict[str, Callable[[str], BiRefNet]] = {
    "steady": random_network,
    "parity": parity_network,
}


def stages(network: FusedBiRefNet) -> dict[str, nn.Module]:
    """The modules whose outputs are compared, in the order of the table."""
    swin, decoder = network.backbone, network.decoder
    named: dict[str, nn.Module] = {"patch embedding": swin.embed}
    named |= {f"Swin stage {i + 1}": norm for i, norm in enumerate(swin.norms)}
    named["squeezed context"] = network.squeeze
    for level in ("4", "3", "2", "1"):
        named[f"patches of block {level}"] = decoder.patches[level]
        named[f"decoder block {level}"] = decoder.blocks[level]
        moves = decoder.get_submodule(f"blocks.{level}.attention.branches.3.moves")
        named[f"offsets of block {level}, 7 x 7"] = moves
        if level in decoder.gates:
            named[f"gate of block {level}"] = decoder.gates[level]
    named["image part of the logits"] = decoder.image
    named["logits"] = decoder
    return named


@torch.inference_mode()
def values(network: FusedBiRefNet, image: Tensor) -> Values:
    """The output of each stage for `image`; of the backbone, that for the image at full size."""
    found: Values = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            found[name] = output.detach().double().clone()  # the last call is that for the full one

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in stages(network).items()]
    network(image)
    for hook in hooks:
        hook.remove()
    return found


@contextmanager
def narrow_positions() -> Iterator[None]:
    """Within it, positions of deformable taps are rounded as the features are."""
    exact = sampling.corners

    def rounded(
        moves: Tensor, first: int, size: tuple[int, int], kernel: int
    ) -> tuple[Tensor, Tensor]:
        w = size[1]
        pixel = torch.arange(first, first + len(moves))
        ys, xs = (pixel // w)[:, None], (pixel % w)[:, None]
        wide = moves.float()
        wide[:, 0] = (wide[:, 0] + ys).to(moves.dtype).float() - ys
        wide[:, 1] = (wide[:, 1] + xs).to(moves.dtype).float() - xs
        return exact(wide, first, size, kernel)

    sampling.corners = rounded
    try:
        yield
    finally:
        sampling.corners = exact


def columns_of(kind: str, backbone: str, image: Tensor, dtypes: list[str]) -> dict[str, Values]:
    """The values of each column, the float64 ones first."""

    def made() -> FusedBiRefNet:
        return fuse(NETWORKS[kind](backbone))

    columns = {"fp64": values(made().double(), image.double())}
    for dtype in dtypes:
        low = made().to(DTYPES[dtype])
        columns[dtype] = values(low, image.to(DTYPES[dtype]))
        if dtype != "fp32":
            with narrow_positions():
                columns[f"{dtype}, narrow positions"] = values(low, image.to(DTYPES[dtype]))
            columns[f"{dtype}, rounded weights"] = values(low.double(), image.double())
    return columns


def print_table(kind: str, backbone: str, size: int, dtypes: list[str]) -> None:
    image = recipe.normalise(recipe.image(size, size))
    columns = columns_of(kind, backbone, image, dtypes)
    exact = columns.pop("fp64")
    print(f"\n{backbone}, {kind} weights, {size} x {size}\n")
    print("| after | rms in fp64 | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 2) + "|")
    for name, value in exact.items():
        rms = value.square().mean().sqrt()
        errors = [(found[name] - value).square().mean().sqrt() / rms for found in columns.values()]
        print(f"| {name} | {rms:.2g} | " + " | ".join(f"{error:.1e}" for error in errors) + " |")
    matte = exact["logits"].sigmoid()
    differences = [abs(found["logits"].sigmoid() - matte) for found in columns.values()]
    for name, of in (("mean", torch.mean), ("worst", torch.max)):
        cells = " | ".join(f"{of(difference):.1e}" for difference in differences)
        print(f"| matte, {name} difference | | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--backbone", nargs="+", default=["swin_v1_t", "swin_v1_l"])
    parser.add_argument("--weights", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, default=["fp32", "bf16"])
    parser.add_argument("--size", type=int, default=256)
    args = parser.parse_args()
    for backbone in args.backbone:
        for kind in args.weights:
            print_table(kind, backbone, args.size, args.dtype)


if __name__ == "__main__":
    main()
