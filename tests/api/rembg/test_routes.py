"""rembg's API, parameter by parameter. The fake keeps the left half."""

import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from rmbg_service.api.rembg.parameters import SAME_MODELS, RembgParameters
from rmbg_service.errors import BodyTooLarge, InferenceError
from rmbg_service.models.catalog import find
from rmbg_service.url_fetch import FetchFailed, FetchRefused
from tests.fakes import FakeFetcher, FakePredictor, picture_bytes, serving

PATH = "/api/remove"
NATIVE = "/api/remove-bg"
PNG = picture_bytes()
URL = "https://pictures.example/a.png"
TRANSPARENT = (0, 0, 0, 0)


async def post(predictor: FakePredictor | None = None, **fields: Any) -> httpx.Response:
    """A form as curl and requests send it."""
    async with serving(predictor) as (client, _):
        return await client.post(PATH, files={"file": ("photo.png", PNG)}, data=fields)


def picture(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content))


def detail(answer: httpx.Response, status: int) -> str:
    """The text of an error, whose form is checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"detail"}
    assert isinstance(body["detail"], str)
    return body["detail"]


async def test_a_file_comes_back_as_the_png_of_the_native_api() -> None:
    async with serving() as (client, _):
        answer = await client.post(PATH, files={"file": ("photo.png", PNG)})
        image = picture(answer)
        native = await client.post(NATIVE, files={"image": PNG}, headers={"Accept": "image/png"})
    assert (image.mode, image.size, image.getpixel((60, 20))) == ("RGBA", (64, 48), TRANSPARENT)
    assert image == picture(native)


async def test_a_url_gives_the_same_as_its_file() -> None:
    async with serving(fetcher=FakeFetcher({URL: PNG})) as (client, engine):
        by_file = await client.post(PATH, files={"file": PNG}, data={"om": "true"})
        by_url = await client.get(PATH, params={"url": URL, "om": "true"})
        assert picture(by_url).mode == "L"
        assert picture(by_url) == picture(by_file)
        assert engine.budget.jobs == engine.budget.pixels == 0


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, {"detail": "auto", "decontaminate": True, "semitransparency": True}),
        ({"a": "true", "af": "200", "ab": "20", "ae": "15"}, {"detail": "best"}),
        ({"vm": "1", "dc": "false"}, {"detail": "best", "decontaminate": True}),
        ({"dc": "false"}, {"detail": "auto", "decontaminate": False}),
        ({"dc": "true"}, {"decontaminate": True}),
        ({"ppm": "true"}, {"semitransparency": False}),
        ({"om": "true", "bgc": "1,2,3,4"}, {"output": "matte", "background": None}),
        ({"bgc": "255,0,0,128"}, {"background": "#ff000080"}),
        ({"extras": '{"sam_prompt": []}', "hat": "1"}, {"output": "cutout", "format": "png"}),
    ],
)
def test_each_parameter_stands_for_an_option(
    given: dict[str, str], options: dict[str, Any]
) -> None:
    made = RembgParameters.model_validate(given).options()
    expected = type(made).model_validate(options)
    assert {name: getattr(made, name) for name in options} == {
        name: getattr(expected, name) for name in options
    }


@pytest.mark.parametrize("place", ["data", "params"])
async def test_parameters_come_in_the_form_or_in_the_query(place: str) -> None:
    async with serving() as (client, _):
        given: dict[str, Any] = {place: {"bgc": "255, 0, 0, 255"}}
        answer = await client.post(PATH, files={"file": PNG}, **given)
    assert picture(answer).convert("RGBA").getpixel((60, 20)) == (255, 0, 0, 255)


async def test_a_half_transparent_background_stays_so() -> None:
    assert picture(await post(bgc="0,0,255,128")).getpixel((60, 20)) == (0, 0, 255, 128)
    opaque = picture(await post(bgc="0,0,255")).convert("RGBA")
    assert opaque.getpixel((60, 20)) == (0, 0, 255, 255)


async def test_the_mask_is_the_alpha_of_the_cutout() -> None:
    mask, cutout = picture(await post(om="true")), picture(await post())
    assert np.array_equal(np.asarray(mask), np.asarray(cutout)[..., 3])


@pytest.mark.parametrize("blank", ["model", "bgc", "extras", "a"])
async def test_a_blank_parameter_is_as_if_it_were_not_there(blank: str) -> None:
    picture(await post(None, **{blank: ""}))


class TestModel:
    """The parameter `model`."""

    @pytest.mark.parametrize(
        ("loaded", "asked"),
        [
            ("u2netp", "u2netp"),
            ("RMBG-2.0", "bria-rmbg"),
            ("RMBG-2.0-onnx", "bria-rmbg"),
            ("RMBG-2.0", "RMBG-2.0"),
            ("BiRefNet", "birefnet-general"),
            ("birefnet-general", "birefnet-general-fp16"),
            ("birefnet-portrait-onnx", "birefnet-portrait"),
        ],
    )
    async def test_the_one_that_is_loaded_goes_by_both_names(self, loaded: str, asked: str) -> None:
        predictor = FakePredictor()
        predictor.name = loaded
        picture(await post(predictor, model=asked))

    async def test_any_other_is_one_error_that_names_the_one_that_is_loaded(self) -> None:
        assert detail(await post(model="u2net"), 422) == (
            "model: u2net is not loaded: this service runs fake; leave out model or start the "
            "service with another one"
        )

    async def test_the_error_names_what_rembg_calls_it(self) -> None:
        predictor = FakePredictor()
        predictor.name = "BiRefNet"
        async with serving(predictor, FakeFetcher({})) as (client, _):
            answer = await client.get(PATH, params={"url": URL, "model": "isnet-anime"})
        says = "runs BiRefNet (birefnet-general, birefnet-general-fp16 in rembg);"
        assert says in detail(answer, 422)

    def test_every_alias_is_of_a_known_model(self) -> None:
        for names in SAME_MODELS.values():
            assert all(find(name) is not None for name in names)


FORM = {"file": ("photo.png", PNG)}


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        ({"data": {"a": "1"}, "files": {"image": PNG}}, 422, "file: send the image"),
        ({"files": {"file": b""}}, 422, "file: the image is empty"),
        ({"data": {"file": "x"}}, 415, "Content-Type is application/x-www-form-urlencoded"),
        ({"files": FORM, "data": {"af": "256"}}, 422, "af: must be less than or equal"),
        ({"files": FORM, "data": {"om": "perhaps"}}, 422, "om: must be true or false"),
        ({"files": FORM, "data": {"bgc": "red"}}, 422, "bgc: expected red,green,blue,alpha"),
        ({"files": FORM, "data": {"bgc": "0,0,0,256"}}, 422, "each from 0 to 255"),
        ({"files": FORM, "data": {"bgc": "\u0660,\u0661,\u0662"}}, 422, "bgc: expected red,green"),
        ({"files": FORM | {"bgc": PNG}}, 422, "unexpected file"),
        ({"files": FORM, "params": [("a", "1"), ("a", "0")]}, 422, "given twice in the query"),
        ({"files": [("file", PNG), ("file", PNG)]}, 422, "given twice in the form"),
        ({"files": {"file": b"no image"}}, 422, "not a readable image"),
    ],
)
async def test_what_is_wrong_is_said(sent: dict[str, Any], status: int, says: str) -> None:
    async with serving() as (client, engine):
        answer = await client.post(PATH, **sent)
        assert says in detail(answer, status)
        assert engine.budget.jobs == engine.budget.pixels == 0


@pytest.mark.parametrize(
    ("found", "status", "says"),
    [
        (FetchRefused("not public"), 400, "not public"),
        (FetchFailed("no response"), 400, "no response"),
        (BodyTooLarge("endless"), 413, "endless"),
        (b"plain text", 422, "not"),
    ],
)
async def test_a_url_that_leads_to_no_image(
    found: bytes | Exception, status: int, says: str
) -> None:
    async with serving(fetcher=FakeFetcher({URL: found})) as (client, engine):
        assert says in detail(await client.get(PATH, params={"url": URL}), status)
        assert engine.budget.jobs == 0


async def test_no_url_is_fetched_unless_the_setting_allows_it() -> None:
    async with serving() as (client, _):
        answer = await client.get(PATH, params={"url": URL})
        assert "RMBG_URL_FETCH=on" in detail(answer, 400)
        assert detail(await client.get(PATH), 422).startswith("url:")


async def test_keys_limits_and_the_queue_hold_here_too() -> None:
    files = {"file": PNG}
    async with serving(api_keys="one", max_inflight_jobs=1) as (client, engine):
        refused = await client.post(PATH, files=files)
        assert "X-API-Key" in detail(refused, 401)
        assert refused.headers["www-authenticate"] == "Bearer"
        held = engine.budget.reserve(1e9)
        busy = await client.post(PATH, files=files, headers={"X-API-Key": "one"})
        detail(busy, 429)
        assert int(busy.headers["retry-after"]) > 0
        held.release()
        assert (await client.put(PATH, headers={"X-API-Key": "one"})).status_code == 405
        metrics = (await client.get("/metrics")).text
        assert 'rmbg_requests_total{outcome="rejected"} 1.0' in metrics


async def test_a_failure_says_nothing_of_itself() -> None:
    predictor = FakePredictor([InferenceError("the model failed on this image")] * 2)
    assert detail(await post(predictor), 500) == "the model failed on this image"
    assert detail(await post(FakePredictor([ValueError("secret")] * 2)), 500).find("secret") < 0


async def test_the_model_is_the_one_that_was_loaded() -> None:
    class Copy(FakePredictor):
        """A copy of RMBG-2.0, which is known as that once its weights are read."""

        name = "copy"

        def load(self) -> None:
            self.name = "RMBG-2.0"

    answer = await post(Copy(), model="bria-rmbg")
    assert answer.status_code == 200, answer.text
