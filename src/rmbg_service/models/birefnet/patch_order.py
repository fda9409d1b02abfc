"""How a checkpoint lays the decoder's input patches into channels: no shape reveals it.

The published code changed on 2024-11-05 from `wg_hg_c`, channel = (column * hg + row) * 3 + colour,
to `c_hg_wg`, channel = (colour * hg + row) * wg + column. A checkpoint has the order of the code it
was published with; with the other one its mattes are wrong without any error. The network here
always has `c_hg_wg`: weights of the other order are permuted once, when loaded.

The repository name inside config.json is no evidence for `c_hg_wg`: copies of RMBG-2.0, which has
the old order, carry the name of the repository they were derived from, ZhengPeng7/BiRefNet.
"""

import json
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.catalog import ModelSpec, find
from rmbg_service.settings import PatchOrder

GRIDS = {5: 32, 4: 16, 3: 8, 2: 4}
"""Tiles along each side of the picture that `ipt_blk{n}` takes."""


def decide(folder: Path, repo: str | None, setting: PatchOrder | None) -> PatchOrder:
    """The order of the weights in `folder`, which come from hub repository `repo` if that is known.

    Raises `ConfigurationError` when nothing tells, or when what tells does not agree.
    """
    if setting is not None:
        return setting
    found = _evidence(folder, find(repo) if repo else None)
    orders = set(found.values())
    if len(orders) == 1:
        return orders.pop()
    if found:
        said = ", ".join(f"{order} by {where}" for where, order in found.items())
        problem = f"the patch order of {folder} is contradictory ({said})"
    else:
        problem = f"the patch order of {folder} is unknown"
    raise ConfigurationError(
        f"{problem}: set RMBG_PATCH_ORDER to c_hg_wg (BiRefNet code since 2024-11-05) or wg_hg_c"
        " (older code, RMBG-2.0)"
    )


def to_native(weights: dict[str, Tensor]) -> None:
    """Permute the weights of a `wg_hg_c` checkpoint, in place, to `c_hg_wg`."""
    for block, grid in GRIDS.items():
        key = f"decoder.ipt_blk{block}.conv1.weight"
        order = torch.arange(3 * grid * grid).view(grid, grid, 3).permute(2, 1, 0).flatten()
        weights[key] = weights[key][:, order].contiguous()


def _evidence(folder: Path, row: ModelSpec | None) -> dict[str, PatchOrder]:
    """Who says what: the catalogue, the code beside the weights, or config.json."""
    found: dict[str, PatchOrder] = {}
    if row is not None and row.patch_order is not None:
        found["the catalogue"] = row.patch_order
    code = folder / "birefnet.py"
    if code.is_file() and (order := _order_in_code(code.read_text("utf-8", errors="replace"))):
        found["birefnet.py"] = order
    config = _config(folder)
    if config.get("patch_order") in get_args(PatchOrder):
        found["config.json"] = config["patch_order"]
    elif str(config.get("_name_or_path")).casefold() == "briaai/rmbg-2.0":
        found["the name in config.json"] = "wg_hg_c"
    return found


def _order_in_code(text: str) -> PatchOrder | None:
    """What the published network code does; it is read as text and never run."""
    new, old = "(c hg wg)" in text, "get_patches_batch" in text
    if new == old:
        return None
    return "c_hg_wg" if new else "wg_hg_c"


def _config(folder: Path) -> dict[str, PatchOrder]:
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
