"""Every error of the remove.bg API: its status, its code, its envelope."""

import base64
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest

from rmbg_service.errors import BodyTooLarge, EmptyImage, InferenceError
from rmbg_service.imaging.source import ImageInfo
from rmbg_service.serving.fair_share import Visit
from rmbg_service.types import Matte, ModelInput
from rmbg_service.url_fetch import FetchFailed, FetchRefused
from tests.fakes import FakeFetcher, FakePredictor, picture_bytes, serving

PATH = "/v1.0/removebg"
PNG = picture_bytes()
B64 = base64.b64encode(PNG).decode()
FILE = ("photo.png", PNG)
URL = "https://pictures.example/a.png"


class Blank(FakePredictor):
    """Finds nothing."""

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        return [np.full(self.input_size, 0.3, np.float32) for _ in batch]


def item(answer: httpx.Response, status: int = 400) -> dict[str, str]:
    """The one error of an answer, whose form is checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    body = answer.json()
    assert body.keys() == {"errors"}
    (error,) = body["errors"]
    assert error["title"]
    assert all(isinstance(value, str) for value in error.values())
    return dict(error)


async def post(
    predictor: FakePredictor | None = None, settings: dict[str, Any] | None = None, **fields: Any
) -> httpx.Response:
    files = {k: v if isinstance(v, tuple) else (None, str(v)) for k, v in fields.items()}
    async with serving(predictor, **settings or {}) as (client, _):
        return await client.post(PATH, files=files or {"nothing": (None, "")})


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "missing_source"),
        ({"image_file": FILE, "image_url": URL}, "multiple_sources"),
        ({"image_file_b64": B64, "image_url": URL}, "multiple_sources"),
        ({"image_url": URL}, "invalid_image_url"),
        ({"image_file": FILE, "bg_image_url": URL}, "invalid_bg_image_url"),
        ({"image_file": "plain text"}, "invalid_file_type"),
        ({"image_file_b64": "*** no base64 ***"}, "failed_to_read_image"),
        ({"image_file": ("a.png", PNG[:60])}, "failed_to_read_image"),
        ({"image_file": ("a.txt", b"plain text")}, "invalid_file_type"),
        ({"image_file": FILE, "bg_image_file": ("b.txt", b"plain text")}, "invalid_file_type"),
        ({"image_file": FILE, "bg_color": "red", "bg_image_file": FILE}, "multiple_bg_sources"),
        ({"image_file": FILE, "bg_color": "red", "bg_image_url": URL}, "multiple_bg_sources"),
        ({"image_file": FILE, "bg_color": "reddish"}, "invalid_bg_color"),
        ({"image_file": FILE, "bg_color": "#12345"}, "invalid_bg_color"),
        ({"image_file": FILE, "bg_color": "rgb(300,0,0)"}, "invalid_bg_color"),
        ({"image_file": FILE, "bg_color": "rgb(3,0,0)"}, "invalid_bg_color"),
        ({"image_file": FILE, "roi": "0% " + " " * 70 + "0% 9% 9%"}, "invalid_roi"),
        ({"image_file": FILE, "size": "huge"}, "invalid_size"),
        ({"image_file": FILE, "format": "gif"}, "invalid_format"),
        ({"image_file": FILE, "channels": "alpha", "format": "zip"}, "invalid_format"),
        ({"image_file": FILE, "channels": "rgb"}, "invalid_channels"),
        ({"image_file": FILE, "crop": "true", "crop_margin": "wide"}, "invalid_crop_margin"),
        ({"image_file": FILE, "crop": "true", "crop_margin": "51%"}, "invalid_crop_margin"),
        ({"image_file": FILE, "crop": "true", "crop_margin": "0 501px"}, "invalid_crop_margin"),
        ({"image_file": FILE, "crop_margin": "1px 2px 3px"}, "invalid_crop_margin"),
        ({"image_file": FILE, "position": "left"}, "invalid_position"),
        ({"image_file": FILE, "scale": "9%"}, "invalid_scale"),
        ({"image_file": FILE, "scale": "101%"}, "invalid_scale"),
        ({"image_file": FILE, "semitransparency": "maybe"}, "invalid_semitransparency"),
        ({"image_file": FILE, "crop": "perhaps"}, "invalid_crop"),
        ({"image_file": FILE, "type": "ghost"}, "invalid_type"),
        ({"image_file": FILE, "type_level": "3"}, "invalid_type_level"),
        ({"image_file": FILE, "shadow_type": "long"}, "invalid_shadow_type"),
        ({"image_file": FILE, "shadow_opacity": "101"}, "invalid_shadow_opacity"),
        ({"image_file": FILE, "roi": "0 0 10 10"}, "invalid_roi"),
        ({"image_file": FILE, "roi": "0% 0% 50%"}, "invalid_roi"),
        ({"image_file": FILE, "roi": "0px 0px 65px 48px"}, "roi_exceeds_bounds"),
        ({"image_file": FILE, "roi": "10px 10px 10px 20px"}, "roi_region_empty"),
    ],
)
async def test_what_is_wrong_with_a_request(fields: dict[str, Any], code: str) -> None:
    error = item(await post(**fields))
    assert error["code"] == code
    assert error["detail"]
    assert B64[:40] not in str(error), "an error never repeats the image"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "got none with content"),
        ({"image_file": ("a.png", b""), "image_url": " "}, "got none with content"),
        ({"image_file": FILE, "image_url": URL}, "got image_file, image_url"),
    ],
)
async def test_which_sources_came_is_said(given: dict[str, Any], says: str) -> None:
    expected = "give exactly one of image_file, image_file_b64, image_url; "
    assert item(await post(**given))["detail"].startswith(expected + says)


async def test_text_that_is_not_base64_is_told_with_its_field() -> None:
    error = item(await post(image_file_b64="***"))
    assert error["detail"] == "image_file_b64: not valid base64"


async def test_nothing_is_found() -> None:
    assert item(await post(Blank(), image_file=FILE))["code"] == "unknown_foreground"


async def test_too_many_bytes_or_pixels() -> None:
    answer = await post(settings={"max_body_bytes": 100}, image_file=FILE)
    assert item(answer)["code"] == "file_too_large"
    answer = await post(settings={"max_image_pixels": 3000}, image_file=FILE)
    assert item(answer)["code"] == "resolution_too_high"


async def test_a_picture_without_pixels() -> None:
    async with serving() as (client, engine):

        async def probe(data: bytes, visit: Visit) -> ImageInfo:
            raise EmptyImage("the image has no pixels")

        engine.probe = probe  # type: ignore[method-assign]
        answer = await client.post(PATH, files={"image_file": FILE})
        assert item(answer)["code"] == "invalid_dimensions"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("image/png", PNG),
        ("text/plain", b"x"),
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'"text"'),
        ("application/json", b"[" * 400),
        ("multipart/form-data", b"no boundary"),
        ("application/x-www-form-urlencoded", b"\xff=\xff"),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % i for i in range(50))),
    ],
)
async def test_a_body_that_is_no_request(kind: str, text: bytes) -> None:
    async with serving() as (client, _):
        item(await client.post(PATH, content=text, headers={"content-type": kind}))


@pytest.mark.parametrize("value", [5, True, ["a"], {"a": 1}])
async def test_json_values_of_the_wrong_kind(value: Any) -> None:
    async with serving() as (client, _):
        for name in ("image_file_b64", "image_url"):
            item(await client.post(PATH, json={name: value}))
        item(await client.post(PATH, json={"image_file_b64": B64, "size": value}))


@pytest.mark.parametrize("path", [PATH, "/v1.0/account"])
async def test_a_key_is_missing_or_wrong(path: str) -> None:
    method = "POST" if path == PATH else "GET"
    async with serving(api_keys="one") as (client, _):
        for headers in ({}, {"X-Api-Key": "two"}, {"Authorization": "Bearer two"}):
            error = item(await client.request(method, path, headers=headers), 403)
            assert error["code"] == "auth_failed"


async def test_a_route_or_method_that_does_not_exist() -> None:
    async with serving() as (client, _):
        item(await client.get(PATH), 405)
        item(await client.post("/v1.0/improve"), 404)


async def test_the_service_is_not_ready() -> None:
    async with serving() as (client, engine):
        engine.drain()
        answer = await client.post(PATH, files={"image_file": FILE})
        item(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1


async def test_the_model_fails_on_purpose_or_not() -> None:
    error = item(await post(FakePredictor([InferenceError("no")]), image_file=FILE), 500)
    assert "code" not in error
    error = item(await post(FakePredictor([KeyError("secret")]), image_file=FILE), 500)
    assert "secret" not in str(error)


async def test_a_job_beyond_its_deadline() -> None:
    predictor = FakePredictor(gated=True)
    item(await post(predictor, {"request_timeout_s": 0.05}, image_file=FILE), 504)


@pytest.mark.parametrize(
    ("found", "codes"),
    [
        (FetchRefused("not public"), ("invalid_image_url", "invalid_bg_image_url")),
        (FetchFailed("no answer"), ("failed_image_download", "failed_bg_download")),
        (BodyTooLarge("endless"), ("file_too_large", "file_too_large")),
        (b"plain text", ("invalid_file_type", "invalid_file_type")),
    ],
)
async def test_urls_that_lead_to_no_picture(
    found: bytes | Exception, codes: tuple[str, str]
) -> None:
    fetcher = FakeFetcher({URL: found})
    async with serving(fetcher=fetcher) as (client, engine):
        answer = await client.post(PATH, data={"image_url": URL})
        assert item(answer)["code"] == codes[0]
        answer = await client.post(PATH, files={"image_file": FILE}, data={"bg_image_url": URL})
        assert item(answer)["code"] == codes[1]
        assert engine.budget.jobs == 0


async def test_urls_that_lead_to_pictures() -> None:
    fetcher = FakeFetcher({URL: PNG, URL + "?b": picture_bytes((8, 8))})
    async with serving(fetcher=fetcher, max_body_bytes=10_000) as (client, _):
        answer = await client.post(PATH, data={"image_url": URL, "bg_image_url": URL + "?b"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "image/jpeg"
    assert fetcher.limits == [10_000, 10_000 - len(PNG)], "both together keep the bound on bodies"


async def test_a_url_may_have_letters_of_every_script_in_every_form() -> None:
    url = "https://pictures.example/größe.png"
    async with serving(fetcher=FakeFetcher({url: PNG})) as (client, _):
        forms: list[dict[str, Any]] = [
            {"files": {"image_url": (None, url)}},
            {"data": {"image_url": url}},
            {"json": {"image_url": url}},
        ]
        for form in forms:
            answer = await client.post(PATH, **form)
            assert answer.status_code == 200, answer.text


async def test_the_setting_turns_fetching_on_and_bounds_it() -> None:
    async with serving(url_fetch=True, url_fetch_hosts="pictures.example") as (client, _):
        error = item(await client.post(PATH, data={"image_url": "http://127.0.0.1/a.png"}))
        assert error["code"] == "invalid_image_url"
        assert "RMBG_URL_FETCH_HOSTS" in error["detail"]
