"""A request with its own matte, and with strokes."""

import asyncio
import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rmbg_service.types import Alpha
from tests.fakes import PATH, FakePredictor, picture_bytes, serving

WIDTH, HEIGHT = 320, 240
PHOTO = picture_bytes((WIDTH, HEIGHT))
IMAGE = {"accept": "image/*"}


def file_of(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def right_half() -> Alpha:
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    matte[:, WIDTH // 2 - 8 :] = np.minimum(np.arange(WIDTH // 2 + 8) * 16, 255)
    return matte


def strokes(level: int, scale: int = 1) -> bytes:
    """A stroke in the upper left corner."""
    pixels = np.zeros((HEIGHT // scale, WIDTH // scale, 4), np.uint8)
    pixels[20 // scale : 40 // scale, 20 // scale : 60 // scale] = (level, level, level, 255)
    return file_of(pixels)


def pixels_of(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(data)))


async def test_a_matte_replaces_the_networks_and_costs_no_prediction() -> None:
    predictor = FakePredictor()
    async with serving(predictor) as (client, _):
        answer = await client.post(PATH, files={"image": PHOTO, "matte": file_of(right_half())})
        assert answer.status_code == 200
        body = answer.json()
        assert body["model"] is None
        assert "x-rmbg-model" not in answer.headers
        alpha = pixels_of(base64.b64decode(body["image"]))[..., 3]
    assert (alpha == right_half()).all()
    assert predictor.predicted == []


async def test_a_matte_waits_for_no_prediction_of_others() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor) as (client, engine):
        other = asyncio.create_task(client.post(PATH, files={"image": PHOTO}))
        await predictor.wait_until_entered()
        before = engine.service_time.predict_s
        files = {"image": PHOTO, "matte": file_of(right_half())}
        assert (await client.post(PATH, files=files)).status_code == 200
        assert not other.done()
        assert engine.service_time.predict_s == before
        predictor.gate.set()
        assert (await other).status_code == 200


async def test_every_form_takes_both() -> None:
    async with serving() as (client, _):
        images = {"image": PHOTO, "matte": file_of(right_half()), "strokes": strokes(255)}
        text = {name: base64.b64encode(data).decode() for name, data in images.items()}
        forms: list[dict[str, Any]] = [
            {"json": text},
            {"files": images},
            {"files": {name: (None, value) for name, value in text.items()}},
        ]
        answers = [await client.post(PATH, headers=IMAGE, **form) for form in forms]
        assert [answer.status_code for answer in answers] == [200] * 3
        first, *others = (pixels_of(answer.content) for answer in answers)
        for pixels in others:
            # Not their bytes: ISA-L's deflate sometimes writes the same data in another way.
            np.testing.assert_array_equal(pixels, first)


@pytest.mark.parametrize("mode", ["smart", "exact"])
@pytest.mark.parametrize("level", [255, 0])
@pytest.mark.parametrize("own_matte", [True, False])
async def test_far_from_a_stroke_the_answer_is_the_same_to_the_byte(
    mode: str, level: int, own_matte: bool
) -> None:
    files = {"image": PHOTO} | ({"matte": file_of(right_half())} if own_matte else {})
    async with serving() as (client, _):
        plain = await client.post(PATH, headers=IMAGE, files=files)
        files["strokes"] = strokes(level, scale=2)
        given = {"strokes_mode": mode}
        stroked = await client.post(PATH, headers=IMAGE, files=files, data=given)
        assert stroked.status_code == 200
    before, after = pixels_of(plain.content), pixels_of(stroked.content)
    reach = WIDTH // 5 + WIDTH // 20 + 4  # of alpha and of colours
    assert (before[40 + reach :] == after[40 + reach :]).all()
    assert (before[:, 60 + reach :] == after[:, 60 + reach :]).all()
    assert (after[22:38, 24:56, 3] == level).all()
    assert (before[22:38, 24:56, 3] == (0 if own_matte else 255)).all()


async def test_a_stroke_is_enough_for_a_subject() -> None:
    nothing = file_of(np.zeros((HEIGHT, WIDTH), np.uint8))
    async with serving() as (client, _):
        files = {"image": PHOTO, "matte": nothing}
        given = {"on_empty": "error"}
        answer = await client.post(PATH, files=files, data=given)
        assert answer.json()["type"] == "no-subject"
        files["strokes"] = strokes(255)
        answer = await client.post(PATH, files=files, data=given)
        assert answer.status_code == 200
        assert answer.json()["box"] is not None


async def test_a_region_of_interest_with_the_matte_of_the_whole_picture() -> None:
    async with serving() as (client, _):
        files = {"image": PHOTO, "matte": file_of(right_half()), "strokes": strokes(255)}
        given = {"roi": "10% 0% 90% 50%", "strokes_mode": "exact", "output": "matte"}
        answer = await client.post(PATH, headers=IMAGE, files=files, data=given)
        alpha = pixels_of(answer.content)
    assert alpha.shape == (HEIGHT, WIDTH)
    inside = (slice(0, 120), slice(170, 288))
    assert (alpha[inside] == right_half()[inside]).all()
    assert (alpha[22:38, 36:56] == 255).all()
    assert not alpha[:, 288:].any()
    assert not alpha[120:].any()


@pytest.mark.parametrize(
    ("images", "given", "status", "detail"),
    [
        ({"matte": file_of(right_half()[:, :200])}, {}, 422, "the matte: expected the proportions"),
        ({"strokes": strokes(255, scale=2)[:90]}, {}, 422, "the strokes:"),
        ({"strokes": file_of(right_half())}, {}, 422, "the strokes: expected strokes on a transp"),
        ({"matte": b"\xffnonsense"}, {}, 422, "the matte: not a readable image"),
        ({"matte": b""}, {}, 400, "empty"),
        ({}, {"strokes_mode": "exact"}, 400, "strokes_mode needs strokes"),
        ({"strokes": strokes(0)}, {"strokes_mode": "best"}, 400, "strokes_mode"),
    ],
)
async def test_what_is_wrong_is_named(
    images: dict[str, bytes], given: dict[str, str], status: int, detail: str
) -> None:
    async with serving() as (client, _):
        files = {name: ("x", data) for name, data in ({"image": PHOTO} | images).items()}
        answer = await client.post(PATH, files=files, data=given)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert detail in answer.json()["detail"]


async def test_each_image_is_bounded_and_counts() -> None:
    pixels = WIDTH * HEIGHT
    async with serving(max_image_pixels=pixels, max_inflight_pixels=2 * pixels) as (client, _):
        large = file_of(np.zeros((2 * HEIGHT, 2 * WIDTH), np.uint8))
        answer = await client.post(PATH, files={"image": PHOTO, "matte": large})
        assert (answer.status_code, answer.json()["type"]) == (413, "image-too-large")
        assert "the matte" in answer.json()["detail"]
        files = {"image": PHOTO, "matte": file_of(right_half()), "strokes": strokes(0)}
        answer = await client.post(PATH, files=files)
        assert (answer.status_code, answer.json()["type"]) == (413, "image-too-large")
        assert f"{3 * pixels:,}" in answer.json()["detail"]


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
async def test_images_of_extreme_shapes(size: tuple[int, int]) -> None:
    width, height = size
    painted = np.full((height, width, 4), 255, np.uint8)
    painted[0, 0, 3] = 128
    files = {
        "image": picture_bytes(size),
        "matte": file_of(np.full((height, width), 90, np.uint8)),
        "strokes": file_of(painted),
    }
    async with serving() as (client, _):
        for mode in ("smart", "exact"):
            given = {"strokes_mode": mode, "output": "matte"}
            answer = await client.post(PATH, headers=IMAGE, files=files, data=given)
            assert answer.status_code == 200
            assert pixels_of(answer.content).max() >= 128


async def test_info_names_the_images() -> None:
    async with serving() as (client, _):
        info = (await client.get("/api/info")).json()
    assert info["images"] == ["background_image", "matte", "strokes"]
    assert info["options"]["strokes_mode"] == ["smart", "exact"]
