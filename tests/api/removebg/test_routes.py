"""The remove.bg contract, parameter by parameter. The fake keeps the left half."""

import asyncio
import base64
import io
import zipfile
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from rmbg_service.api.removebg.parameters import RemoveBgParameters
from rmbg_service.errors import InferenceError
from rmbg_service.types import Matte, ModelInput
from rmbg_service.url_fetch import Fetcher
from tests.fakes import FakePredictor, RawRequest, picture_bytes, serving, until

PATH = "/v1.0/removebg"
SIZE = (1000, 700)
JPEG = picture_bytes(SIZE, "JPEG", quality=60)
TRANSPARENT = (0, 0, 0, 0)


class Pane(FakePredictor):
    """A pane of glass in the middle, alpha 0.6."""

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        matte = np.zeros(self.input_size, np.float32)
        matte[8:24, 136:408] = 0.6
        return [matte for _ in batch]


async def post(
    predictor: FakePredictor | None = None, given: dict[str, Any] | None = None, **fields: Any
) -> httpx.Response:
    """A multipart request as `requests` and curl send it."""
    files: dict[str, Any] = {"image_file": ("photo.jpg", JPEG, "image/jpeg")}
    fields |= given or {}
    files |= {k: v if isinstance(v, tuple) else (None, str(v)) for k, v in fields.items()}
    async with serving(predictor) as (client, _):
        return await client.post(PATH, files=files)


def picture(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def alpha_of(image: Image.Image) -> Any:
    return np.asarray(image.convert("RGBA"))[..., 3]


def foreground(answer: httpx.Response) -> list[int]:
    """Left, top, width and height by the headers."""
    return [int(answer.headers[f"x-foreground-{n}"]) for n in ("left", "top", "width", "height")]


async def test_the_usual_request_gets_a_png_of_full_size_and_all_headers() -> None:
    answer = await post(size="auto")
    image = picture(answer)
    assert (image.format, image.mode, image.size) == ("PNG", "RGBA", SIZE)
    assert image.getpixel((900, 100)) == TRANSPARENT
    assert answer.headers["content-type"] == "image/png"
    expected = {
        "x-width": "1000",
        "x-height": "700",
        "x-max-width": "1000",
        "x-max-height": "700",
        "x-type": "other",
        "x-credits-charged": "0",
    }
    assert expected.items() <= answer.headers.items()
    left, top, width, height = foreground(answer)
    assert (left, top, height) == (0, 0, 700)
    assert width == pytest.approx(500, abs=25)
    for name in ("limit", "remaining", "reset"):
        assert int(answer.headers[f"x-ratelimit-{name}"]) >= 0


FORMS = {
    "multipart file": {"files": {"image_file": ("a.jpg", JPEG)}, "data": {"crop": "true"}},
    "multipart base64": {
        "files": {"image_file_b64": (None, base64.b64encode(JPEG)), "crop": (None, "true")}
    },
    "urlencoded": {"data": {"image_file_b64": base64.b64encode(JPEG).decode(), "crop": "true"}},
    "urlencoded, plus signs not escaped": {
        "content": b"crop=true&image_file_b64=" + base64.b64encode(JPEG),
        "headers": {"content-type": "application/x-www-form-urlencoded"},
    },
    "JSON": {"json": {"image_file_b64": base64.b64encode(JPEG).decode(), "crop": True}},
    "JSON, all text": {
        "json": {"image_file_b64": base64.b64encode(JPEG).decode(), "crop": "true", "roi": None}
    },
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_every_form_of_the_body_gives_the_same_picture(form: dict[str, Any]) -> None:
    async with serving() as (client, _):
        answer = await client.post(PATH, **form)
    image = picture(answer)
    assert image.size == (foreground(answer)[2], 700)
    assert image.width < 550, "cropped"


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("*/*", False),
        ("", False),
        ("image/*", False),
        ("application/json", True),
        ("application/json, image/png;q=0.5", True),
        ("application/json, text/plain, */*", False),  # axios, always
    ],
)
async def test_bytes_or_json_by_accept(accept: str, is_json: bool) -> None:
    async with serving() as (client, _):
        answer = await client.post(
            PATH, files={"image_file": ("a.jpg", JPEG)}, headers={"accept": accept}
        )
    if not is_json:
        assert picture(answer).size == SIZE
        return
    assert answer.headers["content-type"] == "application/json"
    data = answer.json()["data"]
    assert Image.open(io.BytesIO(base64.b64decode(data["result_b64"]))).size == SIZE
    names = ["foreground_left", "foreground_top", "foreground_width", "foreground_height"]
    assert [data[name] for name in names] == foreground(answer)


@pytest.mark.parametrize(("size", "megapixels"), [("medium", 1.5), ("full", 10), ("auto", 12)])
async def test_size_limits_the_pixels_of_a_png(size: str, megapixels: float) -> None:
    answer = await post(size=size, format="png", image_file=("a.jpg", TWELVE_MEGAPIXELS))
    image = picture(answer)
    assert 0.99 * megapixels * 1e6 <= image.width * image.height <= megapixels * 1e6
    assert image.width / image.height == pytest.approx(4 / 3, rel=0.01)
    assert (answer.headers["x-max-width"], answer.headers["x-max-height"]) == ("4000", "3000")
    assert (answer.headers["x-width"], answer.headers["x-height"]) == tuple(map(str, image.size))


@pytest.mark.parametrize(
    ("size", "png", "others"),
    [
        ("preview", 0.25, 0.25),
        ("small", 0.25, 0.25),
        ("regular", 0.25, 0.25),
        ("medium", 1.5, 1.5),
        ("hd", 4, 4),
        ("full", 10, 25),
        ("4k", 10, 25),
        ("50MP", 10, 50),
        ("auto", None, None),
    ],
)
def test_megapixels_of_each_size(size: str, png: float | None, others: float | None) -> None:
    for name in ("png", "auto", "jpg", "webp", "zip"):
        parameters = RemoveBgParameters.model_validate({"size": size, "format": name})
        pixels = parameters.options("auto", has_background=False).max_pixels
        expected = png if name in ("png", "auto") else others
        assert pixels == (None if expected is None else expected * 1e6), name
    opaque = RemoveBgParameters.model_validate({"size": size}).options("auto", has_background=True)
    assert opaque.max_pixels == (None if others is None else others * 1e6)


TWELVE_MEGAPIXELS = picture_bytes((4000, 3000), "JPEG", quality=30)


async def test_the_size_where_none_is_given_is_a_setting() -> None:
    async with serving(removebg_default_size="preview") as (client, _):
        files = {"image_file": ("a.jpg", JPEG)}
        small = picture(await client.post(PATH, files=files))
        full = picture(await client.post(PATH, files=files, data={"size": "auto"}))
    assert small.width * small.height <= 250_000
    assert full.size == SIZE


@pytest.mark.parametrize(
    ("given", "media_type"),
    [
        ({"format": "png"}, "image/png"),
        ({"format": "jpg"}, "image/jpeg"),
        ({"format": "webp"}, "image/webp"),
        ({"format": "zip"}, "application/zip"),
        ({"format": "auto"}, "image/png"),
        ({}, "image/png"),
        ({"bg_color": "81d4fa"}, "image/jpeg"),
        ({"bg_color": "81d4fa80"}, "image/png"),
        ({"bg_image_file": ("b.png", picture_bytes())}, "image/jpeg"),
        ({"format": "png", "bg_color": "red"}, "image/png"),
    ],
)
async def test_format(given: dict[str, Any], media_type: str) -> None:
    answer = await post(given=given)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == media_type


async def test_a_zip_holds_the_colours_and_the_alpha() -> None:
    answer = await post(format="zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.namelist() == ["color.jpg", "alpha.png"]
    colour, alpha = (Image.open(archive.open(name)) for name in archive.namelist())
    assert (colour.mode, colour.size, alpha.mode, alpha.size) == ("RGB", SIZE, "L", SIZE)


@pytest.mark.parametrize("colour", ["f00", "#f00", "f00f", "ff0000", "#ff0000ff", "red"])
async def test_bg_color(colour: str) -> None:
    image = picture(await post(bg_color=colour, format="png"))
    assert image.convert("RGBA").getpixel((900, 100)) == (255, 0, 0, 255)


async def test_bg_image_covers_the_canvas() -> None:
    background = io.BytesIO()
    Image.new("RGB", (40, 80), (0, 90, 200)).save(background, "PNG")
    answer = await post(bg_image_file=("b.png", background.getvalue()), format="png")
    assert picture(answer).convert("RGB").getpixel((999, 699)) == (0, 90, 200)


async def test_roi_is_all_that_is_looked_at() -> None:
    answer = await post(roi="20% 100px 60% 400px")
    alpha = alpha_of(picture(answer))
    assert alpha.shape == SIZE[::-1]
    assert alpha[100:400, 210:380].min() == 255
    outside = alpha.copy()
    outside[100:400, 200:600] = 0
    assert outside.max() == 0
    left, top, width, height = foreground(answer)
    assert (left, top, height) == (200, 100, 300)
    assert width == pytest.approx(200, abs=15)


@pytest.mark.parametrize(
    ("margin", "extra"),
    [
        ("30px", (30, 30, 30, 30)),
        ("10%", (70, 50, 70, 50)),
        ("10px 20px", (10, 20, 10, 20)),
        ("1px 2px 3px 4px", (1, 2, 3, 4)),
    ],
)
async def test_crop_with_a_margin(margin: str, extra: tuple[int, ...]) -> None:
    answer = await post(crop="true", crop_margin=margin)
    top, right, bottom, left = extra
    width, height = picture(answer).size
    assert height == 700 + top + bottom
    assert width == pytest.approx(foreground(answer)[2] + left + right, abs=4)


async def test_a_margin_without_crop_and_a_position_with_crop_change_nothing() -> None:
    assert picture(await post(crop_margin="30px")).size == SIZE
    plain, placed = await post(crop="true"), await post(crop="true", scale="50%", position="0%")
    assert picture(placed) == picture(plain)


@pytest.mark.parametrize(
    ("given", "box"),
    [
        ({"scale": "50%"}, (375, 175, 625, 525)),
        ({"scale": "50%", "position": "0% 100%"}, (0, 350, 250, 700)),
        ({"position": "center"}, (250, 0, 750, 700)),
        ({"position": "100% 0%"}, (500, 0, 1000, 700)),
        ({"scale": "original", "position": "original"}, (0, 0, 500, 700)),
    ],
)
async def test_scale_and_position(given: dict[str, str], box: tuple[int, ...]) -> None:
    alpha = alpha_of(picture(await post(given=given)))
    found = Image.fromarray((alpha > 127).astype(np.uint8)).getbbox()
    assert found == pytest.approx(box, abs=14)


async def test_channels_alpha_gives_the_matte() -> None:
    for given in ({}, {"bg_color": "red"}):
        image = picture(await post(given={"channels": "alpha"} | given))
        assert (image.format, image.mode, image.size) == ("PNG", "L", SIZE)
        assert (image.getpixel((100, 100)), image.getpixel((900, 100))) == (255, 0)


async def test_semitransparency() -> None:
    glass, solid = [
        alpha_of(picture(await post(Pane(), semitransparency=given)))[350, 500]
        for given in ("true", "false")
    ]
    assert 120 < glass < 200
    assert solid == 255


@pytest.mark.parametrize(
    ("given", "painted"),
    [
        ({}, False),
        ({"shadow_type": "none", "add_shadow": "true"}, False),
        ({"shadow_type": "drop"}, True),
        ({"shadow_type": "auto"}, True),  # this picture has none to keep
        ({"shadow_type": "car"}, True),
        ({"add_shadow": "true"}, True),
        ({"shadow_type": "drop", "shadow_opacity": "0"}, False),
        ({"shadow_type": "drop", "channels": "alpha"}, False),
    ],
)
async def test_shadows(given: dict[str, str], painted: bool) -> None:
    plain = {"channels": given["channels"]} if "channels" in given else {}
    without, shadowed = await post(Pane(), plain), await post(Pane(), given)
    assert (without.content != shadowed.content) == painted


async def test_half_the_opacity_is_half_the_shadow() -> None:
    bare, full, half = [
        alpha_of(picture(await post(Pane(), given))).astype(int).sum()
        for given in (
            {},
            {"shadow_type": "drop"},
            {"shadow_type": "drop", "shadow_opacity": "50"},
        )
    ]
    assert half - bare == pytest.approx((full - bare) / 2, rel=0.02)


@pytest.mark.parametrize("name", ["auto", "person", "product", "car", "animal", "other"])
async def test_type_is_accepted_and_answered_with_other(name: str) -> None:
    answer = await post(type=name, type_level="latest")
    assert answer.headers["x-type"] == "other"
    assert "x-type" not in (await post(type=name, type_level="none")).headers


async def test_unknown_and_empty_parameters_are_ignored() -> None:
    assert picture(await post(shadow_method="legacy", bg_color="", image_url="")).size == SIZE


async def test_parameters_in_the_query_are_ignored() -> None:
    query = {"size": "preview", "format": "none", "image_url": "http://pictures.example/"}
    async with serving() as (client, _):
        answer = await client.post(PATH, params=query, files={"image_file": JPEG})
    assert (picture(answer).format, picture(answer).size) == ("PNG", SIZE)


async def test_the_account() -> None:
    async with serving(api_keys="one") as (client, _):
        refused = await client.get("/v1.0/account")
        answer = await client.get("/v1.0/account", headers={"X-Api-Key": "one"})
    assert refused.status_code == 403
    assert answer.json() == {
        "data": {
            "attributes": {
                "credits": {"total": 0, "subscription": 0, "payg": 0, "enterprise": 0},
                "api": {"free_calls": 0, "sizes": "all"},
            }
        }
    }


async def test_a_wait_longer_than_its_clients_wait_is_refused_at_once() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor, removebg_wait_limit_s=20, max_inflight_jobs=8) as (
        client,
        engine,
    ):
        engine.service_time.predict_s = 11.0
        running = [
            asyncio.create_task(client.post("/api/remove-bg", files={"image": ("a.jpg", JPEG)}))
            for _ in range(2)
        ]
        await until(lambda: engine.budget.jobs == 2)
        answer = await client.post(PATH, files={"image_file": ("a.jpg", JPEG)})
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert "about 33 s" in answer.json()["errors"][0]["detail"]
        predictor.gate.set()
        assert [(await task).status_code for task in running] == [200, 200]


async def test_the_rate_limit_counts_megapixels_of_each_key_on_both_apis() -> None:
    body: dict[str, Any] = {"files": {"image_file": ("a.jpg", JPEG)}}
    async with serving(api_keys="one,two", rate_limit_megapixels_per_minute=2) as (client, engine):
        answers = [await client.post(PATH, **body, headers={"x-api-key": "one"}) for _ in "123"]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["x-ratelimit-limit"] for answer in answers] == ["2"] * 3
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
        refused = answers[-1]
        assert int(refused.headers["retry-after"]) in range(1, 31)
        assert refused.json()["errors"][0]["code"] == "rate_limit_exceeded"
        ours = await client.post(
            "/api/remove-bg", files={"image": ("a.jpg", JPEG)}, headers={"x-api-key": "one"}
        )
        assert (ours.status_code, ours.json()["type"]) == (429, "overloaded")
        other = await client.post(PATH, **body, headers={"authorization": "Bearer two"})
        assert other.status_code == 200
        metrics = (await client.get("/metrics")).text
        assert 'rmbg_rejected_total{reason="rate"} 2.0' in metrics
        assert engine.budget.jobs == 0


async def test_a_picture_that_the_service_fails_on_does_not_count() -> None:
    predictor = FakePredictor([InferenceError("NaN")])
    async with serving(predictor, rate_limit_megapixels_per_minute=10) as (client, _):
        upload = {"image_file": ("a.jpg", TWELVE_MEGAPIXELS)}
        failed = await client.post(PATH, files=upload)
        assert failed.status_code == 500
        answer = await client.post(PATH, files=upload)  # more than what a moment brings
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, "0")


async def test_without_a_rate_limit_the_headers_tell_of_the_room_in_flight() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor, max_inflight_pixels=60_000_000) as (client, engine):
        twelve = {"image_file": ("a.jpg", TWELVE_MEGAPIXELS)}
        running = asyncio.create_task(client.post(PATH, files=twelve))
        await until(lambda: engine.budget.pixels == 12_000_000)
        predictor.gate.set()
        answer = await running
    assert answer.headers["x-ratelimit-limit"] == "60"
    assert answer.headers["x-ratelimit-remaining"] == "60", "its own are free again"


async def test_without_a_rate_limit_nothing_is_left_to_a_request_refused_for_load() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor, max_inflight_jobs=1) as (client, _):
        running = asyncio.create_task(client.post(PATH, files={"image_file": JPEG}))
        await predictor.wait_until_entered()
        refused = await client.post(PATH, files={"image_file": JPEG})
        assert refused.status_code == 429
        assert refused.headers["x-ratelimit-remaining"] == "0"
        predictor.gate.set()
        assert (await running).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {"scale": "Original"},
        {"position": "Center"},
        {"position": "50%\t50%"},
        {"scale": "  50% "},
        {"bg_color": "transparent"},
        {"bg_color": "Transparent"},
    ],
)
async def test_case_and_blanks_say_nothing_and_transparent_is_a_colour(
    given: dict[str, str],
) -> None:
    answer = await post(given=given)
    image = picture(answer)
    assert (image.format, image.mode) == ("PNG", "RGBA")
    assert image.getpixel((999, 0)) == TRANSPARENT


B64 = base64.b64encode(JPEG)


@pytest.mark.parametrize(
    "form",
    [
        {"content": b"size=huge&size=auto&image_file_b64=" + B64},
        {"content": b'{"size": "huge", "size": "auto", "image_file_b64": "%s"}' % B64},
        {"files": [("image_file", JPEG), ("size", (None, b"huge")), ("size", (None, b"auto"))]},
    ],
    ids=["urlencoded", "JSON", "multipart"],
)
async def test_of_a_repeated_parameter_the_last_one_counts(form: dict[str, Any]) -> None:
    is_json = form.get("content", b"").startswith(b"{")
    kind = "application/json" if is_json else "application/x-www-form-urlencoded"
    headers = {} if "files" in form else {"content-type": kind}
    async with serving() as (client, _):
        answer = await client.post(PATH, **form, headers=headers)
    assert picture(answer).size == SIZE


@pytest.mark.parametrize(
    "form",
    [
        {"content": b"image_file_b64=%s&image_file_b64=%s" % (B64, B64)},
        {"files": [("image_file", JPEG), ("image_file", JPEG)]},
    ],
    ids=["urlencoded", "multipart"],
)
async def test_two_pictures_are_not_one(form: dict[str, Any]) -> None:
    headers = {} if "files" in form else {"content-type": "application/x-www-form-urlencoded"}
    async with serving() as (client, _):
        answer = await client.post(PATH, **form, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "multiple_sources"


async def test_accept_may_come_in_several_lines() -> None:
    lines = [("accept", "text/html"), ("accept", "application/json")]
    async with serving() as (client, _):
        answer = await client.post(PATH, files={"image_file": JPEG}, headers=lines)
    assert answer.headers["content-type"] == "application/json"


async def test_a_client_that_gives_up_and_repeats_its_post() -> None:
    """The Ruby client does after 20 s; the first one's job ends by itself."""
    predictor = FakePredictor(gated=True)
    form = httpx.Request(
        "POST", "http://test", files={"image_file": ("a.jpg", JPEG)}, data={"format": "zip"}
    )
    async with serving(predictor) as (client, engine):
        app = client.app
        first, second = (RawRequest(app, dict(form.headers), PATH) for _ in range(2))
        given_up = first.start()
        first.send_body(form.read())
        await predictor.wait_until_entered()
        first.leave()
        await given_up
        assert (first.status, engine.budget.jobs) == (None, 1)
        repeated = second.start()
        second.send_body(form.read())
        await until(lambda: engine.budget.jobs == 2)
        predictor.gate.set()
        await repeated
        archive = b"".join(message.get("body", b"") for message in second.sent)
        names = zipfile.ZipFile(io.BytesIO(archive)).namelist()
        assert (second.status, names) == (200, ["color.jpg", "alpha.png"])
        await until(lambda: engine.budget.jobs == 0)


async def test_a_client_that_leaves_while_its_url_is_fetched_frees_its_place() -> None:
    class Slow(Fetcher):
        stopped = False

        async def fetch(self, url: str, max_bytes: int, client: str = "") -> bytes:
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped = True
            return b""

    fetcher = Slow()
    form = httpx.Request("POST", "http://test", data={"image_url": "https://a.example/b.png"})
    async with serving(fetcher=fetcher) as (client, engine):
        app = client.app
        request = RawRequest(app, dict(form.headers), PATH)
        running = request.start()
        request.send_body(form.read())
        request.leave()
        await running
        assert (request.status, engine.budget.jobs) == (None, 0)
        await until(lambda: fetcher.stopped)


@pytest.mark.parametrize(
    "text",
    [b"image_file_b64=" + b"%41" * 300_000, b"junk=" + b"%C3%A9" * 300_000 + b"&size=%41"],
)
async def test_a_form_of_nothing_but_escapes_is_refused(text: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    async with serving() as (client, _):
        answer = await client.post(PATH, content=text, headers=headers)
    assert answer.json()["errors"][0]["code"] in ("invalid_file_type", "missing_source")


@pytest.mark.parametrize(
    "given",
    [
        {"size": "AUTO", "format": "JPEG", "type": " Product "},
        {"size": "50mp", "shadow_type": "3d"},
        {"shadow_opacity": "50"},
        {"shadow_type": "drop", "channels": "alpha", "shadow_opacity": "50"},
        {"unknown": ("a.bin", b"x"), "more": ("b.bin", b"y")},
    ],
)
async def test_what_clients_also_send(given: dict[str, Any]) -> None:
    assert picture(await post(given=given)).size == SIZE


async def test_numbers_and_false_in_json() -> None:
    text = base64.b64encode(JPEG).decode()
    given = {"type_level": 1, "shadow_opacity": 0, "image_url": False, "bg_image_url": None}
    async with serving() as (client, _):
        answer = await client.post(PATH, json={"image_file_b64": text} | given)
    assert picture(answer).size == SIZE


async def test_a_file_part_without_a_name() -> None:
    """As Node's form-data sends a Buffer."""
    text = (
        b'--b\r\nContent-Disposition: form-data; name="image_file"\r\n\r\n'
        + JPEG
        + b"\r\n--b--\r\n"
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    async with serving() as (client, _):
        assert picture(await client.post(PATH, content=text, headers=headers)).size == SIZE


async def test_a_transparent_background_picture_stands_on_white() -> None:
    background = io.BytesIO()
    Image.new("RGBA", (40, 40), (0, 255, 0, 0)).save(background, "PNG")
    image = picture(await post(bg_image_file=("b.png", background.getvalue()), format="png"))
    assert image.convert("RGB").getpixel((999, 699)) == (255, 255, 255)


async def test_a_side_that_the_format_cannot_have() -> None:
    wide = picture_bytes((20_000, 8))
    answer = await post(image_file=("wide.png", wide), format="webp")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "invalid_dimensions"
    assert picture(await post(image_file=("wide.png", wide), format="png")).size == (20_000, 8)


async def test_a_crop_never_has_more_pixels_than_a_picture_may() -> None:
    async with serving(max_image_pixels=800_000) as (client, engine):
        fields = {"crop": "true", "crop_margin": "500px", "size": "auto"}
        answer = await client.post(PATH, files={"image_file": ("a.jpg", JPEG)}, data=fields)
        image = picture(answer)
        assert 700_000 < image.width * image.height <= 800_000
        assert (answer.headers["x-max-width"], answer.headers["x-max-height"]) == tuple(
            map(str, image.size)
        )
        assert engine.budget.pixels == 0
