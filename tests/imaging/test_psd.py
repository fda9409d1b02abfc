"""PSD files, read again by psd-tools, and by Pillow, which skips layers with a mask."""

import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from psd_tools import PSDImage
from psd_tools.api.layers import Layer

from rmbg_service.imaging import compose
from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.imaging.encode import ENCODERS
from rmbg_service.types import Colour
from tests import icc

SECRET = (7, 250, 33)
HEIGHT, WIDTH = 96, 128


def cutout() -> Cutout:
    """A noisy disc with a soft edge, on a secret."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    alpha = (np.clip((30 - np.hypot(x - 64, y - 44)) / 6, 0, 1) * 255).astype(np.uint8)
    rgb = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    rgb[alpha == 0] = SECRET
    return Cutout(rgb, alpha)


def shaded() -> Cutout:
    shadow = np.zeros((HEIGHT, WIDTH), np.uint8)
    shadow[60:80, 30:110] = 90
    return replace(cutout(), shadow=Shadow("drop", shadow))


def opened(cutout: Cutout) -> PSDImage:
    return PSDImage.open(io.BytesIO(ENCODERS["psd"].write(cutout, 90)))


def pixels(layer: Layer) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """RGB of a layer on the canvas, and its alpha in [0, 1], of pixels, mask and opacity."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    alpha = np.zeros((HEIGHT, WIDTH))
    part = slice(layer.top, layer.bottom), slice(layer.left, layer.right)
    image = layer.topil(apply_icc=False)
    assert image is not None
    rgba = np.asarray(image.convert("RGBA"))
    rgb[part] = rgba[..., :3]
    alpha[part] = rgba[..., 3] / 255 * layer.opacity / 255
    if layer.mask is not None:
        mask = layer.mask.topil()
        assert mask is not None
        assert layer.mask.bbox == layer.bbox
        alpha[part] *= np.asarray(mask) / 255
    return rgb, alpha


def test_the_subject_is_a_layer_with_its_alpha_as_a_mask() -> None:
    truth = cutout()
    (subject,) = opened(truth)
    assert (subject.name, subject.is_visible()) == ("Subject", True)
    rgb, alpha = pixels(subject)
    assert (np.rint(alpha * 255) == truth.alpha).all()
    assert (rgb == truth.rgb)[truth.alpha > 0].all()


def test_the_removed_background_is_not_in_the_file() -> None:
    psd = opened(cutout())
    (subject,) = psd
    merged = psd.topil()
    assert merged is not None
    for rgb in (pixels(subject)[0], np.asarray(merged.convert("RGB"))):
        assert not (rgb == SECRET).all(axis=-1).any()


@pytest.mark.parametrize("colour", [None, Colour(200, 30, 90, 255), Colour(200, 30, 90, 128)])
def test_the_layers_together_are_the_merged_picture_and_the_flat_cutout(
    colour: Colour | None,
) -> None:
    truth = shaded()
    flat = truth.with_shadow() if colour is None else compose.on_colour(truth, colour)
    if colour is not None:
        truth = replace(truth, backdrop=compose.plain_backdrop(truth, colour))
    psd = opened(truth)
    names = ["Shadow", "Subject"] if colour is None else ["Background", "Shadow", "Subject"]
    assert [layer.name for layer in psd] == names
    rgb, total = np.zeros((HEIGHT, WIDTH, 3)), np.zeros((HEIGHT, WIDTH))
    for layer in psd:  # the lowest one first
        colours, alpha = pixels(layer)
        rgb = colours * alpha[..., None] + rgb * (1 - alpha[..., None])
        total = alpha + total * (1 - alpha)
    wanted = flat.alpha / 255
    assert np.abs(total - wanted).max() < 1.5 / 255
    assert np.abs(rgb - flat.rgb * wanted[..., None]).max() < 3
    data = ENCODERS["psd"].write(truth, 90)
    merged = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(int)
    on_white = compose.on_colour(flat, compose.WHITE)
    assert np.abs(merged[..., :3] - on_white.rgb).max() <= 1
    assert (merged[..., 3] == flat.alpha).all()


def test_a_cutout_of_nothing_is_an_empty_layer() -> None:
    empty = Cutout(np.full((4, 5, 3), 9, np.uint8), np.zeros((4, 5), np.uint8))
    (subject,) = opened(empty)
    assert subject.mask is not None
    mask = subject.mask.topil()
    assert mask is not None
    assert mask.getextrema() == (0, 0)


def test_a_kept_profile_is_in_the_file() -> None:
    profile = icc.rgb_profile()
    psd = opened(replace(cutout(), icc=profile))
    assert psd.image_resources.get_data(1039) == profile
    assert opened(cutout()).image_resources.get_data(1039) is None


def test_equal_cutouts_are_equal_files() -> None:
    write = ENCODERS["psd"].write
    assert write(shaded(), 90) == write(shaded(), 50)
