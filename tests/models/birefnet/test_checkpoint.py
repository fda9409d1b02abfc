import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.birefnet.checkpoint import (
    UNUSED,
    Checkpoint,
    check_keys,
    infer_backbone,
    read_checkpoint,
)
from rmbg_service.models.birefnet.configuration import BiRefNetConfig
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.weights import read_weights
from tests.models.birefnet.conftest import SPOILT
from tests.models.birefnet.parity import recipe


def hollow(backbone: str = "swin_v1_t") -> dict[str, Tensor]:
    """An official state dict without values."""
    return {
        key: torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
        for key, (shape, dtype) in recipe.keys(backbone).items()
    }


def refusal(load: Callable[[], object]) -> str:
    """The one line with which something is refused."""
    with pytest.raises(ConfigurationError) as caught:
        load()
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__cause__ is None
    return message


def test_an_official_folder_loads_bit_for_bit(checkpoint: Path) -> None:
    backbone, weights, *_ = read_checkpoint(checkpoint)
    official = recipe.official("swin_v1_t")
    assert backbone == "swin_v1_t"
    assert all(torch.equal(weights[key], official[key]) for key in weights)
    assert len(official) - len(weights) == 24


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_wrapper_prefixes_are_stripped(tmp_path: Path, prefix: str) -> None:
    save_file({f"{prefix}bb.norm0.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    assert list(read_weights(tmp_path)) == ["bb.norm0.weight"]


def test_half_precision_checkpoints_become_float32(tmp_path: Path) -> None:
    weights = {"a": torch.ones(2, dtype=torch.float16), "n": torch.tensor(3)}
    save_file(weights, tmp_path / "model.safetensors")
    read = read_weights(tmp_path)
    assert (read["a"].dtype, read["n"].dtype) == (torch.float32, torch.int64)


def test_a_sharded_checkpoint_is_read_whole(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "one.safetensors")
    save_file({"b": torch.zeros(3)}, tmp_path / "two.safetensors")
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert set(read_weights(tmp_path)) == {"a", "b"}


@pytest.mark.parametrize(
    "index",
    [
        "[]",
        "{",
        "[" * 100_000,
        '{"weight_map": {}}',
        '{"weight_map": {"a": 1}}',
        '{"weight_map": {"a": "../x.safetensors"}}',
    ],
    ids=range(6),
)
def test_a_bad_shard_index_is_refused(tmp_path: Path, index: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert "is not a checkpoint index" in refusal(lambda: read_weights(tmp_path))


def test_a_missing_shard_is_refused(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "one.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "one.safetensors" in refusal(lambda: read_weights(tmp_path))


def test_tensors_in_a_pickle_are_read(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(2)}, tmp_path / "BiRefNet-epoch_244.pth")
    assert torch.equal(read_weights(tmp_path)["a"], torch.ones(2))


class Touch:
    """What a hostile pickle holds: a call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "save", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what))]
)
def test_code_in_a_pickle_is_refused_and_not_run(
    tmp_path: Path, save: Callable[[object, Path], None]
) -> None:
    made = tmp_path / "made"
    save({"a": Touch(made)}, tmp_path / "pytorch_model.bin")
    assert "use safetensors" in refusal(lambda: read_weights(tmp_path))
    assert not made.exists()


def test_what_is_not_a_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save([torch.ones(2)], tmp_path / "pytorch_model.bin")
    assert "not a state dict" in refusal(lambda: read_weights(tmp_path))


@pytest.mark.parametrize(
    "tensor", [torch.eye(2).to_sparse(), torch.ones(2, device="meta")], ids=["sparse", "meta"]
)
def test_tensors_that_do_not_hold_their_values_are_refused(tmp_path: Path, tensor: Tensor) -> None:
    torch.save({"a": tensor}, tmp_path / "pytorch_model.bin")
    assert "names and dense tensors" in refusal(lambda: read_weights(tmp_path))


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F9"])
def test_number_formats_that_do_not_become_float32_are_refused(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "model.safetensors"
    header = f'{{"a": {{"dtype": "{dtype}", "shape": [16], "data_offsets": [0, 8]}}}}'.encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    assert "model.safetensors" in refusal(lambda: read_weights(path))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("kept", [0, 7, 500, -100], ids=["empty", "stub", "head", "tail cut"])
def test_truncated_files_are_refused(tmp_path: Path, name: str, kept: int) -> None:
    path = tmp_path / name
    weights = {"a": torch.ones(100, 100)}
    if path.suffix == ".bin":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    path.write_bytes(path.read_bytes()[:kept])
    assert str(path) in refusal(lambda: read_weights(tmp_path))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_corrupt_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(256)) * 40)
    assert name in refusal(lambda: read_weights(tmp_path))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    assert "holds no weights" in refusal(lambda: read_checkpoint(tmp_path))


def test_a_choice_of_weights_is_refused(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        save_file({"a": torch.ones(1)}, tmp_path / name)
    assert "several weight files" in refusal(lambda: read_weights(tmp_path))


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    message = refusal(lambda: read_checkpoint(tmp_path))
    assert "is not a BiRefNet" in message
    assert "conv1.weight" in message


def test_what_does_not_fit_is_listed() -> None:
    wanted = hollow()
    weights = dict(wanted)
    del weights["bb.norm0.weight"]
    weights["decoder.refiner.weight"] = torch.empty(1, device="meta")
    weights["decoder.conv_out1.0.bias"] = torch.empty(7, device="meta")
    message = refusal(lambda: check_keys(weights, wanted, "there"))
    assert "1 missing (bb.norm0.weight)" in message
    assert "1 unexpected (decoder.refiner.weight)" in message
    assert "1 misshapen (decoder.conv_out1.0.bias (7,) for (1,))" in message


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize(
    "key", ["bb.patch_embed.proj.weight", "decoder.ipt_blk5.conv1.weight", "bb.norm0.weight"]
)
def test_a_spoilt_tensor_is_refused(
    tmp_path: Path, key: str, spoil: Callable[[Tensor], Tensor]
) -> None:
    official = recipe.official("swin_v1_t")
    weights = {name: value for name, value in official.items() if not UNUSED.match(name)}
    weights[key] = spoil(weights[key])

    def load() -> None:
        backbone = infer_backbone(weights, tmp_path)
        BiRefNet.from_checkpoint(Checkpoint(backbone, weights, tmp_path), "c_hg_wg")

    message = refusal(load)
    assert key in message or "is not a BiRefNet" in message


def test_mistyped_weights_are_listed() -> None:
    wanted = hollow()
    message = refusal(
        lambda: check_keys(wanted | {"bb.norm0.bias": wanted["bb.norm0.bias"].long()}, wanted, "x")
    )
    assert message == "x does not fit BiRefNet: 1 mistyped (bb.norm0.bias int64 for float32)"


def test_a_long_list_is_cut() -> None:
    wanted = hollow()
    weights = {key: value for key, value in wanted.items() if key.startswith("bb.")}
    message = refusal(lambda: check_keys(weights, wanted, "there"))
    assert "missing (squeeze_module.0.conv_in.weight, " in message
    assert message.endswith(", ...)")


@pytest.mark.parametrize("backbone", ["swin_v1_t", "swin_v1_l"])
def test_the_backbone_is_known_by_its_shapes(backbone: str) -> None:
    assert infer_backbone(hollow(backbone), "there") == backbone


@pytest.mark.parametrize("backbone", ["swin_v1_s", "swin_v1_b"])
def test_the_backbone_of_our_own_weights_is_known(backbone: str) -> None:
    with torch.device("meta"):
        state = BiRefNet(BiRefNetConfig(backbone=backbone)).state_dict()
    assert infer_backbone(state, "there") == backbone


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown backbone"):
        BiRefNetConfig(backbone="pvt_v2_b2")


def test_a_hub_id_that_is_not_cached_is_refused_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    message = refusal(lambda: BiRefNet.from_pretrained("briaai/RMBG-2.0", local_files_only=True))
    assert "is not in the local cache" in message


@pytest.mark.parametrize("text", [b"root:x:0:0:root:/root:/bin/bash\n", b"(lp0\n.", b"0", b""])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "notes.pth").write_bytes(text)
    assert "notes.pth" in refusal(lambda: read_weights(tmp_path / "notes.pth"))
