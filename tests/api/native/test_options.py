"""Each option of POST /api/remove-bg, seen from outside. The fake keeps the left half."""

import base64
import io
import zipfile
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from psd_tools import PSDImage

from rmbg_service.types import Matte, ModelInput
from tests import icc
from tests.fakes import PATH, FakePredictor, picture_bytes, serving

PNG = picture_bytes()


async def post(predictor: FakePredictor | None = None, **fields: Any) -> httpx.Response:
    """A multipart request with these fields; files are tuples."""
    accept = fields.pop("accept", "image/png")
    files = {"image": ("photo.png", fields.pop("image", PNG))}
    files |= {k: v if isinstance(v, tuple) else (None, str(v)) for k, v in fields.items()}
    async with serving(predictor) as (client, _):
        return await client.post(PATH, files=files, headers={"accept": accept})


def picture(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


class Blank(FakePredictor):
    """Finds nothing."""

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        return [np.full(self.input_size, 0.3, np.float32) for _ in batch]


@pytest.mark.parametrize(
    ("name", "media_type", "kind", "mode"),
    [
        ("png", "image/png", "PNG", "RGBA"),
        ("webp", "image/webp", "WEBP", "RGBA"),
        ("webp-lossy", "image/webp", "WEBP", "RGBA"),
        ("avif", "image/avif", "AVIF", "RGBA"),
        ("jpeg", "image/jpeg", "JPEG", "RGB"),
        ("jpg", "image/jpeg", "JPEG", "RGB"),
    ],
)
async def test_format(name: str, media_type: str, kind: str, mode: str) -> None:
    answer = await post(format=name, quality=80)
    assert answer.headers["content-type"] == media_type
    image = picture(answer)
    assert (image.format, image.mode, image.size) == (kind, mode, (64, 48))
    if mode == "RGB":
        assert image.getpixel((60, 20)) == (255, 255, 255)


async def test_zip_comes_as_zip_or_inside_json() -> None:
    answer = await post(format="zip", accept="application/zip")
    assert answer.headers["content-type"] == "application/zip"
    assert zipfile.ZipFile(io.BytesIO(answer.content)).namelist() == ["color.jpg", "alpha.png"]
    body = (await post(format="zip", accept="application/json")).json()
    assert body["format"] == "zip"
    assert base64.b64decode(body["image"])[:2] == b"PK"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/webp", "image/webp"),
        ("image/jpeg", "image/jpeg"),
        ("image/jpg", "image/jpeg"),
        ("image/avif,image/webp,*/*;q=0.1", "image/avif"),
        ("image/apng,image/*", "image/png"),
    ],
)
async def test_accept_chooses_the_format_when_no_option_does(accept: str, media_type: str) -> None:
    assert (await post(accept=accept)).headers["content-type"] == media_type
    assert (await post(accept=accept, format="png")).headers["content-type"] == "image/png"


@pytest.mark.parametrize("accept", ["application/zip", "application/zip;q=0.9, application/json"])
async def test_an_accept_that_the_options_exclude_is_as_if_it_were_not_there(accept: str) -> None:
    answer = await post(output="matte", accept=accept)
    assert answer.status_code == 200, answer.text
    assert "zip" not in answer.headers["content-type"]


async def test_accept_may_come_in_several_lines() -> None:
    lines = [("content-type", "image/png"), ("accept", "text/html"), ("accept", "image/webp")]
    async with serving() as (client, _):
        answer = await client.post(PATH, content=PNG, headers=lines)
    assert answer.headers["content-type"] == "image/webp"


@pytest.mark.parametrize(
    ("given", "detail"),
    [
        ({"roi": "0px 0px 65px 9px"}, "the region from 0,0 to 65,9 px leaves the image of 64"),
        ({"roi": "9px 9px 9px 20px"}, "the region from 9,9 to 9,20 px is empty"),
        ({"scale": "9%"}, "scale: scale is between 10% and 100%"),
        ({"scale": "0.8"}, "scale: expected a scale such as 80%, or original, got '0.8'"),
        ({"position": "top"}, "position: expected a position such as center, 30% or 20% 80%"),
        ({"margin": "5px"}, "margin needs crop=true"),
        ({"canvas": "2000"}, "canvas: expected a canvas such as 2000x2000, 4:5 or original"),
        ({"canvas": "0x5"}, "canvas: a side of a canvas is at least 1"),
        ({"canvas": "1:21"}, "canvas: the ratio of a canvas is between 1:20 and 20:1"),
        ({"upscale": "true"}, "upscale needs canvas or scale"),
        ({"min_side": 9, "canvas": "1:1", "scale": "50%"}, "min_side needs scale and a canvas in"),
        ({"max_bytes": 9, "output": "layers"}, "layers are lossless: leave out max_bytes"),
    ],
)
async def test_errors_are_told_in_words(given: dict[str, Any], detail: str) -> None:
    answer = await post(**given)
    assert answer.json()["detail"].startswith(detail)


async def test_background_transparent_is_none() -> None:
    assert picture(await post(background="transparent")).getpixel((60, 20)) == (0, 0, 0, 0)


async def test_background_colour_and_picture() -> None:
    on_blue = picture(await post(background="#0000ff"))
    assert on_blue.getpixel((60, 20)) == (0, 0, 255, 255)
    original = Image.open(io.BytesIO(PNG)).convert("RGBA")
    assert on_blue.getpixel((4, 20)) == original.getpixel((4, 20))
    green = io.BytesIO()
    Image.new("RGB", (10, 10), (0, 200, 0)).save(green, "PNG")
    on_green = picture(await post(background_image=("green.png", green.getvalue())))
    assert on_green.getpixel((60, 20)) == (0, 200, 0, 255)
    text = base64.b64encode(green.getvalue()).decode()
    async with serving() as (client, engine):
        body = {"image": base64.b64encode(PNG).decode(), "background_image": text}
        answer = await client.post(PATH, json=body, headers={"accept": "image/png"})
        assert picture(answer).getpixel((60, 20)) == (0, 200, 0, 255)
        assert engine.budget.pixels == 0


async def test_crop_and_margin() -> None:
    cropped = picture(await post(crop="true"))
    assert cropped.height == 48
    assert 31 <= cropped.width <= 34  # the half, and the soft edge above 5 %
    wide = picture(await post(crop="true", margin="5px 10px"))
    assert wide.size == (cropped.width + 20, cropped.height + 10)


async def test_scale_and_position_keep_the_canvas() -> None:
    placed = np.asarray(picture(await post(scale="50%", position="100% 0%")))
    assert placed.shape == (48, 64, 4)
    assert placed[:20, -12:-6, 3].min() == 255
    assert placed[:20, :40, 3].max() == 0
    assert placed[-4:, :, 3].max() == 0


async def test_a_canvas_and_how_the_subject_lies_on_it() -> None:
    square = await post(canvas="100x100", scale="50%", background="red", upscale="true")
    assert picture(square).size == (100, 100)
    assert picture(square).getpixel((2, 2)) == (255, 0, 0, 255)
    fill, factor = square.headers["x-rmbg-placement"].split("; ")
    assert fill == "fill=0.5000"
    assert float(factor.removeprefix("factor=")) == pytest.approx(50 / 48, abs=0.01)
    kept = await post(canvas="200x200", scale="50%", accept="application/json")
    placement = kept.json()["placement"]
    assert placement == {"fill": 0.24, "factor": 1.0, "limited": True}
    assert kept.headers["x-rmbg-placement"] == "fill=0.2400; factor=1.0000; limited"
    assert (await post(accept="application/json")).json()["placement"] is None
    assert picture(await post(canvas="1:1")).size == (64, 64)
    assert picture(await post(canvas="2:1", position="0% 0%")).size == (96, 48)


async def test_a_preset_and_what_takes_precedence() -> None:
    jpeg = await post(preset="taobao", accept="image/png")
    assert jpeg.headers["content-type"] == "image/jpeg"
    assert picture(jpeg).size == (800, 800)
    assert jpeg.headers["x-rmbg-placement"].endswith("limited")
    assert picture(await post(preset="taobao", format="png", canvas="90x80")).size == (90, 80)
    green = io.BytesIO()
    Image.new("RGB", (10, 10), (0, 200, 0)).save(green, "PNG")
    on_green = await post(preset="taobao", background_image=("green.png", green.getvalue()))
    assert picture(on_green).getpixel((5, 5)) == pytest.approx((0, 200, 0), abs=4)


async def test_a_file_is_as_small_as_it_must_be() -> None:
    full = await post(format="jpeg", quality=100)
    small = await post(format="jpeg", quality=100, max_bytes=len(full.content) - 100)
    assert len(full.content) * 0.6 < len(small.content) <= len(full.content) - 100
    for form in ("png", "jpeg"):
        never = await post(format=form, max_bytes=50)
        assert (never.status_code, never.json()["type"]) == (422, "too-many-bytes")
        assert "expected at most 50 bytes" in never.json()["detail"]


async def test_a_canvas_is_counted_before_it_is_made() -> None:
    refused = await post(canvas="60000x60000")
    assert (refused.status_code, refused.json()["type"]) == (413, "image-too-large")
    assert refused.json()["detail"].startswith("the canvas has 60000 x 60000 pixels; at most")


async def test_max_side() -> None:
    assert picture(await post(max_side=32)).size == (32, 24)
    assert picture(await post(max_side=1000)).size == (64, 48)


async def test_color_profile() -> None:
    p3 = picture_bytes(icc_profile=icc.rgb_profile())
    kept = picture(await post(image=p3, color_profile="keep"))
    assert kept.info["icc_profile"] == icc.rgb_profile()
    assert kept.getpixel((4, 20))[:3] == Image.open(io.BytesIO(p3)).getpixel((4, 20))  # type: ignore[index]
    converted = picture(await post(image=p3))
    assert "icc_profile" not in converted.info
    truth = icc.p3_to_srgb(np.asarray(Image.open(io.BytesIO(p3))))
    assert icc.delta_e(np.asarray(converted)[:, :20, :3], truth[:, :20]).max() < 1.0


async def test_nothing_found_is_an_empty_cutout_or_an_error_as_you_wish() -> None:
    answer = await post(Blank(), accept="application/json")
    body = answer.json()
    assert (body["box"], body["confidence"]) == (None, 0.0)
    assert "x-rmbg-box" not in answer.headers
    empty = np.asarray(Image.open(io.BytesIO(base64.b64decode(body["image"]))))
    assert (empty == 0).all()
    refused = await post(Blank(), on_empty="error")
    assert (refused.status_code, refused.json()["type"]) == (422, "no-subject")
    cropped = picture(await post(Blank(), crop="true"))
    assert cropped.size == (64, 48)


async def test_box_and_confidence_are_told() -> None:
    answer = await post(accept="application/json")
    box = answer.json()["box"]
    assert (box["left"], box["top"], box["height"]) == (0, 0, 48)
    assert 31 <= box["width"] <= 34
    assert answer.headers["x-rmbg-box"] == ",".join(
        str(box[k]) for k in ("left", "top", "width", "height")
    )
    assert answer.json()["confidence"] == 1.0
    assert answer.headers["x-rmbg-confidence"] == "1.0"


async def test_of_an_animation_the_first_frame_is_used_and_said() -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], lossless=True)
        answer = await post(image=buffer.getvalue())
        assert answer.headers["x-rmbg-animated"] == "first-frame-only"
        red, green, blue, alpha = picture(answer).getpixel((4, 20))  # type: ignore[misc]
        assert (red > 250, green < 5, blue < 5, alpha) == (True, True, True, 255)
    assert "x-rmbg-animated" not in (await post()).headers


async def test_no_metadata_leaves() -> None:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[1] = "N"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">SecretPlace</x:xmpmeta>'
    photo = picture_bytes(kind="WEBP", exif=exif, xmp=xmp, lossless=True)
    assert b"SecretCamera" in photo
    for name in ("png", "webp", "webp-lossy", "avif", "jpeg", "zip", "psd"):
        answer = await post(image=photo, format=name, color_profile="keep")
        assert answer.status_code == 200
        assert b"Secret" not in answer.content
        assert b"Exif" not in answer.content


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"background": "reddish"}, "background"),
        ({"background": "red", "background_image": ("b.png", PNG)}, "not both"),
        ({"output": "matte", "background": "red"}, "a matte has no"),
        ({"output": "matte", "background_image": ("b.png", PNG)}, "a matte has no"),
        ({"output": "matte", "format": "zip"}, "a matte has no"),
        ({"output": "matte", "format": "psd"}, "a matte has no"),
        ({"output": "layers", "format": "psd"}, "layers are PNG files"),
        ({"crop": "true", "scale": "50%"}, "crop cannot be combined"),
        ({"margin": "5px"}, "needs crop"),
        ({"crop": "true", "margin": "1 2 3"}, "margin"),
        ({"quality": "0"}, "quality"),
        ({"max_side": "x"}, "max_side"),
        ({"format": "bmp"}, "format"),
        ({"crop": "perhaps"}, "crop"),
    ],
)
async def test_what_makes_no_sense_is_said(fields: dict[str, Any], says: str) -> None:
    answer = await post(**fields)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]


async def test_json_takes_options_as_json_values_and_the_query_takes_text() -> None:
    image = base64.b64encode(PNG).decode()
    body = {"image": image, "crop": True, "quality": 80, "decontaminate": False}
    async with serving() as (client, _):
        url = f"{PATH}?max_side=20&format=jpeg"
        answer = await client.post(url, json=body, headers={"accept": "image/jpeg"})
    assert picture(answer).format == "JPEG"
    assert max(picture(answer).size) == 20


async def test_auto_is_png_where_there_is_transparency_and_jpeg_elsewhere() -> None:
    assert (await post(format="auto")).headers["content-type"] == "image/png"
    assert (await post(format="auto", output="matte")).headers["content-type"] == "image/png"
    answer = await post(format="auto", background="white", accept="application/json")
    assert answer.json()["format"] == "jpeg"


async def test_a_region_is_all_that_is_looked_at() -> None:
    answer = await post(roi="50% 0px 100% 24px", accept="application/json")
    body = answer.json()
    box = body["box"]
    assert (box["left"], box["top"], box["height"]) == (32, 0, 24)
    image = Image.open(io.BytesIO(base64.b64decode(body["image"])))
    assert image.size == (64, 48)
    assert image.getpixel((34, 10))[3] == 255  # type: ignore[index]
    assert image.getpixel((10, 10)) == image.getpixel((34, 40)) == (0, 0, 0, 0)


@pytest.mark.parametrize("roi", ["0px 0px 65px 48px", "50% 0% 50% 100%"])
async def test_a_region_that_does_not_fit_is_told(roi: str) -> None:
    answer = await post(roi=roi)
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid-region")


async def test_max_pixels() -> None:
    image = picture(await post(max_pixels=768))
    assert image.size == (32, 24)
    assert picture(await post(max_pixels=10**6)).size == (64, 48)


async def test_semitransparency_false_makes_glass_opaque() -> None:
    class Glass(FakePredictor):
        def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
            return [np.full(self.input_size, 0.6, np.float32) for _ in batch]

    glass = picture(await post(Glass(), detail="off"))
    solid = picture(await post(Glass(), detail="off", semitransparency="false"))
    assert (glass.getpixel((30, 20))[3], solid.getpixel((30, 20))[3]) == (153, 255)  # type: ignore[index]


def standing() -> bytes:
    """A light floor; a box in the middle, and beside its foot the shadow it casts to the right."""
    rgb = np.full((160, 240, 3), 200, np.uint8)
    rgb[100:120, 140:190] = 110
    rgb[30:120, 100:140] = (180, 40, 30)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


class Middle(FakePredictor):
    """Finds the box of `standing`."""

    input_size = (160, 240)

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        matte = np.zeros(self.input_size, np.float32)
        matte[30:120, 100:140] = 1
        return [matte for _ in batch]


async def post_standing(**fields: Any) -> httpx.Response:
    return await post(Middle(), image=standing(), detail="off", **fields)


async def test_keep_leaves_the_shadow_as_a_black_layer() -> None:
    answer = await post_standing(shadow="keep")
    image = picture(answer)
    assert image.getpixel((165, 110)) == pytest.approx((0, 0, 0, 255 * 0.45), abs=4)
    assert image.getpixel((70, 110)) == (0, 0, 0, 0)
    assert answer.headers["x-rmbg-shadow"].startswith("keep; density=0.4")
    left, top, width, height = map(int, answer.headers["x-rmbg-shadow-box"].split(","))
    assert (left, top) == pytest.approx((140, 100), abs=3)
    assert (left + width, top + height) == pytest.approx((190, 120), abs=3)


async def test_json_says_what_became_of_the_shadow() -> None:
    report = (await post_standing(shadow="keep", accept="application/json")).json()["shadow"]
    assert report["found"] is True
    assert report["kind"] == "keep"
    assert report["reason"] is None
    assert 0.3 < report["density"] < 0.6
    plain = (await post_standing(accept="application/json")).json()
    assert plain["shadow"] is None


async def test_without_evidence_keep_gives_none_and_says_why() -> None:
    answer = await post(shadow="keep")
    assert answer.headers["x-rmbg-shadow"].startswith("none; reason=")
    assert "x-rmbg-shadow-box" not in answer.headers


async def test_auto_paints_where_none_can_be_kept() -> None:
    answer = await post(shadow="auto")
    assert answer.headers["x-rmbg-shadow"].startswith("drop; ")
    assert (await post_standing(shadow="auto")).headers["x-rmbg-shadow"].startswith("keep; ")


async def test_shadow_opacity_scales_it() -> None:
    full = picture(await post_standing(shadow="keep")).getpixel((165, 110))
    half = picture(await post_standing(shadow="keep", shadow_opacity=0.5)).getpixel((165, 110))
    none = picture(await post_standing(shadow="keep", shadow_opacity=0)).getpixel((165, 110))
    assert isinstance(full, tuple)
    assert isinstance(half, tuple)
    assert half[3] == pytest.approx(full[3] / 2, abs=1)
    assert none == (0, 0, 0, 0)


async def test_crop_includes_the_shadow() -> None:
    without = picture(await post_standing(crop="true")).size
    cropped = picture(await post_standing(crop="true", shadow="keep")).size
    assert without == (40, 90)
    assert cropped == pytest.approx((90, 90), abs=3)


async def test_a_jpeg_shows_the_shadow_on_its_background() -> None:
    answer = await post_standing(shadow="keep", format="jpeg", background="white")
    grey = picture(answer).getpixel((165, 110))
    assert grey == pytest.approx((140, 140, 140), abs=5)


async def test_layers_are_three_pictures_of_one_size() -> None:
    answer = await post_standing(shadow="keep", output="layers", accept="image/png")
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    images = {name: Image.open(archive.open(name)) for name in archive.namelist()}
    assert {name: image.mode for name, image in images.items()} == {
        "foreground.png": "RGBA",
        "shadow.png": "RGBA",
        "matte.png": "L",
    }
    assert {image.size for image in images.values()} == {(240, 160)}
    together = Image.alpha_composite(images["shadow.png"], images["foreground.png"])
    flat = picture(await post_standing(shadow="keep"))
    assert np.abs(np.asarray(together, int) - np.asarray(flat, int)).max() <= 1


async def test_a_psd_has_background_shadow_and_subject_as_layers() -> None:
    answer = await post_standing(
        shadow="drop", background_image=("b.png", PNG), accept="image/vnd.adobe.photoshop"
    )
    assert answer.headers["content-type"] == "image/vnd.adobe.photoshop"
    psd = PSDImage.open(io.BytesIO(answer.content))
    assert [layer.name for layer in psd] == ["Background", "Shadow", "Subject"]
    flat = await post_standing(
        shadow="drop", background_image=("b.png", PNG), format="png", accept="image/png"
    )
    merged = Image.open(io.BytesIO(answer.content)).convert("RGB")
    assert merged.tobytes() == Image.open(io.BytesIO(flat.content)).convert("RGB").tobytes()


async def test_layers_without_a_shadow_have_an_empty_one() -> None:
    answer = await post_standing(output="layers", format="zip", accept="application/json")
    assert answer.json()["format"] == "zip"
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(answer.json()["image"])))
    assert Image.open(archive.open("shadow.png")).getextrema() == ((0, 0),) * 4


@pytest.mark.parametrize(
    "fields",
    [
        {"output": "matte", "shadow": "keep"},
        {"output": "layers", "background": "red"},
        {"output": "layers", "format": "jpeg"},
        {"output": "layers", "background_image": ("b.png", PNG)},
        {"shadow_opacity": "0.5"},
        {"shadow": "drop", "shadow_opacity": "2.5"},
        {"shadow": "drop", "shadow_angle": "200"},
        {"shadow": "drop", "shadow_softness": "-1"},
        {"shadow": "long"},
    ],
)
async def test_contradictions_about_the_shadow(fields: dict[str, Any]) -> None:
    assert (await post(**fields)).status_code == 400
