import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from rmbg_service.imaging.cutout import Cutout
from rmbg_service.imaging.encode import ENCODERS, LAYERS, Encoder
from tests import icc

SECRET = (250, 5, 250)  # the colour of the removed background


def cutout(profile: bytes | None = None) -> Cutout:
    y, x = np.mgrid[0:96, 0:128]
    rgb = np.stack([x, y, x + y], axis=-1).astype(np.uint8)
    alpha = np.clip((x - 40) * 4, 0, 255).astype(np.uint8)
    rgb[alpha == 0] = SECRET
    return Cutout(rgb, alpha, profile)


def opened(name: str, profile: bytes | None = None) -> Image.Image:
    data = ENCODERS[name].write(cutout(profile), 90)
    image = Image.open(io.BytesIO(data))
    assert image.get_format_mimetype() == ENCODERS[name].media_type
    image.load()
    return image


@pytest.mark.parametrize("name", ["png", "webp", "webp-lossy", "avif"])
def test_formats_with_alpha_keep_it_and_hide_what_was_removed(name: str) -> None:
    rgba = np.asarray(opened(name))
    truth = cutout()
    lossy = name in ("webp-lossy", "avif")
    assert rgba.shape == (96, 128, 4)
    assert (rgba[..., 3] == truth.alpha).all()
    opaque = truth.alpha == 255
    difference = np.abs(rgba[..., :3].astype(int) - truth.rgb)[opaque]
    assert difference.max() <= (24 if lossy else 0)
    hidden = rgba[:, : 16 if lossy else 40, :3].astype(int)  # beyond what is spread
    assert hidden.max() <= (12 if lossy else 0)


def test_the_zip_holds_colour_and_alpha_and_not_the_background() -> None:
    archive = zipfile.ZipFile(io.BytesIO(ENCODERS["zip"].write(cutout(), 90)))
    assert archive.namelist() == ["color.jpg", "alpha.png"]
    alpha = np.asarray(Image.open(io.BytesIO(archive.read("alpha.png"))))
    assert (alpha == cutout().alpha).all()
    colour = np.asarray(Image.open(io.BytesIO(archive.read("color.jpg"))))
    assert colour.shape == (96, 128, 3)
    assert colour[:, :16].max() < 20
    assert np.abs(colour[:, :40].astype(int) - SECRET).max(axis=-1).min() > 100


def badge(side: int = 400) -> Cutout:
    """A plain disc whose edge is two pixels soft, on a secret."""
    y, x = np.mgrid[0:side, 0:side]
    soft = np.clip((150 - np.hypot(x - side / 2, y - side / 2)) / 2, 0, 1)
    alpha = (soft * 255).astype(np.uint8)
    rgb = np.full((side, side, 3), SECRET, np.uint8)
    rgb[alpha > 0] = (250, 200, 60)
    return Cutout(rgb, alpha)


@pytest.mark.parametrize(("name", "least"), [("zip", 4), ("avif", 12), ("webp-lossy", 14)])
def test_zeros_beside_the_edge_do_not_darken_it(name: str, least: int) -> None:
    truth = badge()
    data = ENCODERS[name].write(truth, 90)
    if name == "zip":
        data = zipfile.ZipFile(io.BytesIO(data)).read("color.jpg")
    rgb = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    difference = np.abs(rgb - (250, 200, 60)).max(axis=-1) * truth.alpha / 255.0
    assert difference.max() <= least


def test_only_what_can_be_seen_is_spread_and_not_far() -> None:
    truth = badge()
    data = zipfile.ZipFile(io.BytesIO(ENCODERS["zip"].write(truth, 100))).read("color.jpg")
    colour = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    y, x = np.mgrid[0:400, 0:400]
    distance = np.hypot(x - 200, y - 200)
    assert np.abs(colour - (250, 200, 60))[distance < 160].max() <= 4
    assert colour[distance > 190].max() <= 4


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "zip"])
def test_a_kept_profile_is_in_the_file(name: str) -> None:
    profile = icc.rgb_profile()
    assert opened(name, profile).info["icc_profile"] == profile
    assert "icc_profile" not in opened(name).info


@pytest.mark.parametrize("quality", [1, 50, 100])
@pytest.mark.parametrize("name", ["webp-lossy", "avif"])
def test_quality_is_that_of_the_colours_and_never_of_alpha(name: str, quality: int) -> None:
    truth = badge()
    rgba = np.asarray(Image.open(io.BytesIO(ENCODERS[name].write(truth, quality))))
    assert (rgba[..., 3] == truth.alpha).all()


def test_jpeg_quality_is_a_size() -> None:
    write = ENCODERS["jpeg"].write
    assert len(write(cutout(), 30)) < len(write(cutout(), 95))


@pytest.mark.parametrize("quality", [89, 90])
@pytest.mark.parametrize("name", ["jpeg", "zip"])
def test_from_90_on_the_colours_of_a_jpeg_do_not_blur(name: str, quality: int) -> None:
    rgb = np.full((32, 32, 3), 255, np.uint8)
    rgb[:, :15] = 200, 0, 0
    data = ENCODERS[name].write(Cutout(rgb, np.full((32, 32), 255, np.uint8)), quality)
    if name == "zip":
        data = zipfile.ZipFile(io.BytesIO(data)).read("color.jpg")
    error = np.abs(np.asarray(Image.open(io.BytesIO(data))).astype(int) - rgb).max()
    assert (error <= 12) == (quality >= 90)


@pytest.mark.parametrize("encoder", [ENCODERS["zip"], LAYERS])
def test_equal_cutouts_are_equal_archives(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cutout = Cutout(np.full((4, 5, 3), 9, np.uint8), np.full((4, 5), 200, np.uint8))
    first = encoder.write(cutout, 90)
    monkeypatch.setattr("time.localtime", lambda *_: (2030, 1, 2, 3, 4, 5, 0, 0, 0))
    assert encoder.write(cutout, 90) == first


@pytest.mark.parametrize(("most", "speed"), [(2_000, 8), (1_999, 9)])
def test_a_large_avif_is_written_faster(
    most: int, speed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise takes longest: about a minute for 50 MP at speed 8."""
    given: dict[str, object] = {}

    def save(*_: object, **options: object) -> bytes:
        given.update(options)
        return b""

    monkeypatch.setattr("rmbg_service.imaging.encode._LARGE_AVIF_PIXELS", most)
    monkeypatch.setattr("rmbg_service.imaging.encode._save", save)
    ENCODERS["avif"].write(
        Cutout(np.zeros((40, 50, 3), np.uint8), np.zeros((40, 50), np.uint8)), 50
    )
    assert given["speed"] == speed
