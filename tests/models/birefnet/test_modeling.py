"""What people who work with transformers expect of a model of its kind."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageSegmentation

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.birefnet.configuration import BiRefNetConfig
from rmbg_service.models.birefnet.image_processing import BiRefNetImageProcessor
from rmbg_service.models.birefnet.modeling import BiRefNet
from tests.models.birefnet.parity import recipe


@pytest.fixture(scope="module")
def saved(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `save_pretrained` wrote, of weights in the older patch order."""
    folder = tmp_path_factory.mktemp("saved")
    BiRefNet.from_pretrained(checkpoint, patch_order="wg_hg_c").save_pretrained(folder)
    BiRefNetImageProcessor().save_pretrained(folder)
    return folder


def test_what_is_saved_is_safetensors_and_names_backbone_and_patch_order(
    checkpoint: Path, saved: Path
) -> None:
    config = json.loads((saved / "config.json").read_bytes())
    assert (config["model_type"], config["backbone"]) == ("birefnet", "swin_v1_t")
    assert config["patch_order"] == "c_hg_wg"
    key = "decoder.ipt_blk5.conv1.weight"
    official, ours = (load_file(each / "model.safetensors")[key] for each in (checkpoint, saved))
    assert not torch.equal(official, ours)  # permuted once, when it was read


def test_the_auto_classes_load_the_same_network(checkpoint: Path, saved: Path) -> None:
    assert isinstance(AutoConfig.from_pretrained(saved), BiRefNetConfig)
    model = BiRefNet.from_pretrained(checkpoint, patch_order="wg_hg_c")
    again = AutoModelForImageSegmentation.from_pretrained(saved)
    assert isinstance(again, BiRefNet)
    assert not again.training
    state = model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())
    x = recipe.normalise(recipe.image(64, 96))
    with torch.inference_mode():
        logits = model(x).logits
        torch.testing.assert_close(again(x).logits, logits, atol=1e-4, rtol=1e-4)
    assert logits.shape == (1, 1, 64, 96)


def test_the_output_is_read_by_name_by_position_or_as_a_tuple(tiny: BiRefNet) -> None:
    x = recipe.normalise(recipe.image(64, 64))
    with torch.inference_mode():
        output = tiny(x)
        (logits,) = tiny(x, return_dict=False)
    assert torch.equal(output[-1], output.logits)
    assert torch.equal(output.logits, logits)


def test_the_keywords_of_transformers_work(saved: Path) -> None:
    loaded: Any = BiRefNet.from_pretrained(saved, dtype=torch.bfloat16, output_loading_info=True)
    model, info = loaded
    assert model.dtype == torch.bfloat16
    assert not any(info.values())


def test_training_can_go_on_from_a_loaded_network(saved: Path) -> None:
    model = BiRefNet.from_pretrained(saved)
    model(recipe.normalise(recipe.image(64, 64))).logits.mean().backward()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.bb.patch_embed.proj.weight.grad is not None


@pytest.mark.parametrize("loader", [BiRefNet, AutoModelForImageSegmentation])
def test_entries_that_do_not_fit_are_an_error_not_random_values(
    saved: Path, tmp_path: Path, loader: type[BiRefNet]
) -> None:
    weights = load_file(saved / "model.safetensors")
    del weights["decoder.conv_out1.0.weight"]
    weights["decoder.refiner.weight"] = torch.ones(1)
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved / "config.json").read_bytes())
    with pytest.raises(ConfigurationError, match=r"1 missing .*; 1 unexpected .*refiner"):
        loader.from_pretrained(tmp_path)


def test_code_beside_the_weights_is_never_run(checkpoint: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    folder = tmp_path / "hostile"
    folder.mkdir()
    save_file(load_file(checkpoint / "model.safetensors"), folder / "model.safetensors")
    (folder / "birefnet.py").write_text(
        f"open({str(marker)!r}, 'w')\n# b c (hg h) (wg w) -> b (c hg wg) h w"
    )
    auto_map = {"AutoModelForImageSegmentation": "birefnet.BiRefNet"}
    (folder / "config.json").write_text(json.dumps({"auto_map": auto_map}))
    model = BiRefNet.from_pretrained(folder, trust_remote_code=True)
    assert type(model) is BiRefNet
    assert not marker.exists()


def test_the_image_processor_feeds_the_network_as_the_reference_does(saved: Path) -> None:
    processor = AutoImageProcessor.from_pretrained(saved)  # type: ignore[no-untyped-call]
    assert isinstance(processor, BiRefNetImageProcessor)
    assert processor.size == {"height": 1024, "width": 1024}
    picture = recipe.image(96, 64)
    inputs = processor(Image.fromarray(picture), size={"height": 96, "width": 64})
    torch.testing.assert_close(inputs["pixel_values"], recipe.normalise(picture))
    two = [Image.new("L", (40, 30), 200), Image.new("RGBA", (10, 10))]
    assert processor(two).pixel_values.shape == (2, 3, 1024, 1024)


def test_the_image_processor_makes_mattes_of_logits(saved: Path, tiny: BiRefNet) -> None:
    processor = BiRefNetImageProcessor.from_pretrained(saved)
    with torch.inference_mode():
        logits = tiny(recipe.normalise(recipe.image(64, 96))).logits
    (matte,) = processor.post_process_matte(logits)
    torch.testing.assert_close(matte, logits[0, 0].sigmoid())
    (large,) = processor.post_process_matte(logits, [(120, 200)])
    assert large.shape == (120, 200)
    assert 0 <= large.min() <= large.max() <= 1
