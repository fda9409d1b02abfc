"""From weight files to a backbone and its weights, or a clear refusal."""

import re
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.birefnet.configuration import BACKBONES
from rmbg_service.models.birefnet.weights import read_weights

UNUSED = re.compile(
    r"decoder\.(conv_ms_spvn_|gdt_convs_pred_)\d\.|.*\.relative_position_index$|.*\.attn_mask$"
)
"""Keys of checkpoints that inference does not need: training heads, and tables it computes."""

SHOWN_KEYS = 5


class Checkpoint(NamedTuple):
    """What a network is built from: float32 weights on the CPU, in the patch order of the file."""

    backbone: str
    weights: dict[str, Tensor]
    path: Path
    repo: str | None = None


def read_checkpoint(path: Path, repo: str | None = None) -> Checkpoint:
    """The checkpoint in `path`, a file or folder; `repo` is the hub id of its bytes, if known.

    Raises `ConfigurationError` with one line for anything that cannot be read.
    """
    weights = {key: value for key, value in read_weights(path).items() if not UNUSED.match(key)}
    return Checkpoint(infer_backbone(weights, path), weights, path, repo)


def infer_backbone(weights: dict[str, Tensor], source: str | Path) -> str:
    """The backbone these weights belong to, by width and depth."""
    stem = weights.get("bb.patch_embed.proj.weight")
    depth = len({key.split(".")[4] for key in weights if key.startswith("bb.layers.2.blocks.")})
    for name, variant in BACKBONES.items():
        if stem is not None and stem.shape[:1] == (variant.dim,) and depth == variant.depths[2]:
            return name
    raise ConfigurationError(
        f"{source} is not a BiRefNet with a Swin v1 backbone ({len(weights)} tensors, the first is"
        f" {next(iter(weights), 'missing')})"
    )


def check_keys(
    found: dict[str, Tensor],
    wanted: dict[str, Tensor],
    source: str | Path,
    network: str = "BiRefNet",
) -> None:
    """Refuse weights with missing, unexpected, misshapen or mistyped entries, and list them."""
    common = [(key, found[key], wanted[key]) for key in wanted if key in found]
    misshapen = [
        f"{key} {tuple(has.shape)} for {tuple(needs.shape)}"
        for key, has, needs in common
        if has.shape != needs.shape
    ]
    mistyped = [
        f"{key} {has.dtype} for {needs.dtype}".replace("torch.", "")
        for key, has, needs in common
        if has.is_floating_point() != needs.is_floating_point() or has.is_complex()
    ]
    lists = {
        "missing": [key for key in wanted if key not in found],
        "unexpected": [key for key in found if key not in wanted],
        "misshapen": misshapen,
        "mistyped": mistyped,
    }
    problems = [
        f"{len(keys)} {kind} ({', '.join(keys[:SHOWN_KEYS])}{', ...' * (len(keys) > SHOWN_KEYS)})"
        for kind, keys in lists.items()
        if keys
    ]
    if problems:
        raise ConfigurationError(f"{source} does not fit {network}: {'; '.join(problems)}")
