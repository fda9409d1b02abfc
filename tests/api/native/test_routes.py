"""The three request forms, both response forms, and every way a request can be wrong."""

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from rmbg_service.api.native.request import JsonRemovalRequest
from tests.fakes import PATH, FakePredictor, picture_bytes, serving

PNG = picture_bytes()
B64 = base64.b64encode(PNG).decode()
JSON_BODY = json.dumps({"image": B64}).encode()
PNG_HEADERS = {"content-type": "image/png"}
JSON_HEADERS = {"content-type": "application/json"}
GZIP_HEADERS = {"content-type": "image/png", "content-encoding": "gzip"}


def pixels(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(data)))


def form(disposition: bytes, data: bytes) -> dict[str, Any]:
    """A multipart body of one part, spelled by hand."""
    head = b"--b\r\nContent-Disposition: form-data; " + disposition
    body = head + b"\r\n\r\n" + data + b"\r\n--b--\r\n"
    return {"content": body, "headers": {"content-type": "multipart/form-data; boundary=b"}}


def check_cutout(data: bytes) -> None:
    """The fake predictor's answer: left half kept with its colours, right half gone."""
    cutout, source = pixels(data), pixels(PNG)
    assert cutout.shape == (48, 64, 4)
    assert (cutout[:, :24, 3] == 255).all()
    assert (cutout[:, 40:] == 0).all()
    assert (cutout[:, :24, :3] == source[:, :24]).all()


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"image": B64}},
        {"json": {"image": f"data:image/png;base64,{B64}"}},
        {"json": {"image": f"DATA:image/png;base64,{B64}"}},
        {"content": b"\xef\xbb\xbf" + JSON_BODY, "headers": JSON_HEADERS},
        form(b'name="image"', PNG),
        form(b"name=\"image\"; filename*=UTF-8''p%C3%A4.png", PNG),
        form(b'name="file"; FileName*=x', PNG),
        form(b'name="image"', B64.encode()),
        {"json": {"image": base64.encodebytes(PNG).decode()}},
        {"json": {"image": base64.urlsafe_b64encode(PNG).decode().rstrip("=")}},
        {"files": {"image": ("photo.png", PNG, "image/png")}},
        {"files": {"file": ("photo.png", PNG)}},
        {"files": {"image": (None, B64)}},
        {"files": {"image_base64": (None, B64)}},
        {"content": PNG, "headers": PNG_HEADERS},
        {"content": PNG, "headers": {"content-type": "application/octet-stream"}},
    ],
    ids=[
        "json", "data-uri",
        "DATA URI", "byte order mark", "no name", "filename*", "FileName*", "base64 part",
        "wrapped", "urlsafe", "file-image", "file-file", "text-image",
        "image_base64", "raw", "octets",
    ],
)  # fmt: skip
async def test_every_request_form_gives_the_same_cutout(sent: dict[str, Any]) -> None:
    async with serving() as (client, _):
        answer = await client.post(PATH, **sent)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert {k: body[k] for k in ("format", "width", "height", "model")} == {
            "format": "png", "width": 64, "height": 48, "model": "fake",
        }  # fmt: skip
        check_cutout(base64.b64decode(body["image"]))
        assert answer.headers["x-rmbg-model"] == "fake"
        assert "predict;dur=" in answer.headers["server-timing"]
        assert int(answer.headers["content-length"]) == len(answer.content)


async def test_base64_text_in_a_field_may_be_larger_than_a_megabyte() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    assert len(text) > 1_500_000
    async with serving() as (client, _):
        answer = await client.post(PATH, files={"image_base64": (None, text)})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("image/png", "image/png"),
        ("image/*", "image/png"),
        ("image/avif,image/webp,*/*;q=0.8", "image/avif"),
        ("application/json, image/png;q=0.5", "application/json"),
        ("application/json;q=0.3, image/png;q=0.5", "image/png"),
        ("image/png;q=nonsense", "application/json"),
    ],
)
async def test_accept_chooses_between_json_and_the_picture(
    accept: str | None, media_type: str
) -> None:
    async with serving() as (client, _):
        headers = PNG_HEADERS | ({"accept": accept} if accept else {})
        answer = await client.post(PATH, content=PNG, headers=headers)
        assert answer.headers["content-type"] == media_type
        if media_type == "image/png":
            check_cutout(answer.content)


async def test_the_matte_alone_comes_as_grey() -> None:
    async with serving() as (client, _):
        for sent in (
            {"content": PNG, "headers": PNG_HEADERS | {"accept": "image/png"}},
            {
                "files": {"image": ("x", PNG), "output": (None, "matte")},
                "headers": {"accept": "image/png"},
            },
        ):
            path = PATH if "files" in sent else f"{PATH}?output=matte"
            matte = pixels((await client.post(path, **sent)).content)
            assert matte.shape == (48, 64)
            assert (matte[:, :24] == 255).all()
            assert (matte[:, 40:] == 0).all()


async def test_the_input_s_own_transparency_stays() -> None:
    rgba = np.full((48, 64, 4), 200, np.uint8)
    rgba[..., 3] = 128
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG")
    async with serving() as (client, _):
        headers = PNG_HEADERS | {"accept": "image/png"}
        answer = await client.post(PATH, content=buffer.getvalue(), headers=headers)
        cutout = pixels(answer.content)
        assert (cutout[:, :24] == (200, 200, 200, 128)).all()  # straight, not darkened
        assert (cutout[:, 40:] == 0).all()


BOMB = io.BytesIO()
Image.new("1", (13_000, 13_000)).save(BOMB, "PNG")
MANY_MEMBERS = ("{" + ",".join(f'"k{i}":1' for i in range(600)) + "}").encode()
FORM = b'--x\r\nContent-Disposition: form-data; name="output"\r\n\r\n\xff\r\n--x--\r\n'
ODD_CHARSET = {"content-type": "multipart/form-data; boundary=x; charset=undefined"}
LONG = "%" * 20_000  # a string that stays raw
TWO_SOURCES = {"image": ("x", PNG), "image_base64": (None, B64)}


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"content": b"", "headers": PNG_HEADERS}, 400, "the image is empty"),
    ({"content": b"{}", "headers": JSON_HEADERS}, 400, "image: must be given"),
    ({"content": b"{", "headers": JSON_HEADERS}, 400, "invalid JSON"),
    ({"json": {"image": None}}, 400, "image: must be given"),
    ({"json": {"image": B64, "hat": None}}, 400, "unknown option 'hat'"),
    ({"content": b'{"image": 5}', "headers": JSON_HEADERS}, 400, "image: expected base64"),
    ({"json": {"image": ""}}, 400, "image: the image is empty"),
    ({"json": {"image": "%%%"}}, 400, "image: not valid base64"),
    ({"json": {"image": "data:image/png,abc"}}, 400, "image: the data: URI"),
    ({"json": {"image": B64, "matte": ""}}, 400, "matte: the image is empty"),
    ({"json": {"image": B64, "matte": "%%%"}}, 400, "matte: not valid base64"),
    ({"json": {"image": B64, "matte": LONG}}, 400, "matte: not valid base64"),
    ({"json": {"image": B64, "strokes": 5}}, 400, "strokes: expected base64 text"),
    ({"files": {"file": ("x", b"")}}, 400, "file: the image is empty"),
    ({"files": {"image": PNG, "matte": ("", b"")}}, 400, "matte: the image is empty"),
    ({"files": {"image": PNG, "background_image": (None, "%")}}, 400, "background_image: not"),
    ({"files": {"image_base64": (None, "%%%")}}, 400, "image_base64: not valid base64"),
    ({"json": {"image": B64, "colour": "red"}}, 400, "unknown option 'colour'"),
    ({"json": {"image": B64, "output": "hat"}}, 400, "'matte' or 'layers'"),
    ({"files": {"image": ("x", PNG), "output": (None, "hat")}}, 400, "'matte' or 'layers'"),
    ({"files": {"image": ("x", PNG), "hat": (None, "1")}}, 400, "unknown option 'hat'"),
    ({"json": {"image": B64, "stroke": B64}}, 400, "background_image, matte, strokes"),
    (
        {"content": PNG, "headers": PNG_HEADERS, "params": {"matte": "https://a.example/m.png"}},
        400,
        "matte is an image: send",
    ),
    ({"json": {"image": B64}, "params": {"strokes": B64}}, 400, "strokes is an image: send"),
    ({"files": {"image": ("x", PNG), "output": ("y", PNG)}}, 400, "unexpected file"),
    (
        {"files": [("image", PNG), ("background_image", PNG), ("file", PNG)]},
        400,
        "got image, file",
    ),
    ({"files": {"image_base64": (None, B64), "output": ("y", b"1")}}, 400, "unexpected file"),
    ({"files": TWO_SOURCES}, 400, "exactly one of"),
    ({"files": {"output": (None, "matte")}}, 400, "exactly one of"),
    (
        {"content": PNG, "headers": PNG_HEADERS, "params": {"output": ["matte", "matte"]}},
        400,
        "given twice",
    ),
    (
        {"json": {"image": B64, "output": "matte"}, "params": {"output": "cutout"}},
        400,
        "output",
    ),
    ({"json": {"image": B64, "crop": True}, "params": {"crop": "0"}}, 400, "another in the"),
    ({"json": {"image": B64, "hat": 1}, "params": {"hat": 1}}, 400, "unknown option 'hat'"),
    ({"content": PNG, "headers": {"content-type": "multipart/form-data"}}, 400, "boundary"),
    ({"content": MANY_MEMBERS, "headers": JSON_HEADERS}, 400, "too many JSON members"),
    ({"json": {"image": B64, "k" * 5000: 1}}, 400, "unknown option"),
    ({"content": FORM, "headers": ODD_CHARSET}, 400, "exactly one of"),
    ({"content": PNG}, 415, "got none"),
    ({"content": PNG, "headers": GZIP_HEADERS}, 415, "Content-Encoding"),
    ({"data": {"image": B64}}, 415, "x-www-form-urlencoded"),
    (
        {"content": b"GIF87a nonsense", "headers": PNG_HEADERS},
        422,
        "the gif file has no image",
    ),
    ({"content": PNG[: len(PNG) // 2], "headers": PNG_HEADERS}, 422, "cannot be decoded"),
    ({"content": BOMB.getvalue(), "headers": PNG_HEADERS}, 413, "13000 x 13000"),
]


@pytest.mark.parametrize(("sent", "status", "says"), WRONG)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
async def test_what_is_wrong_is_said_and_nothing_is_held(
    sent: dict[str, Any], status: int, says: str
) -> None:
    async with serving() as (client, engine):
        answer = await client.post(PATH, **sent)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert says in problem["detail"]
        assert problem["status"] == status
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert engine.budget.jobs == engine.budget.pixels == 0
        assert B64[:40] not in answer.text
        assert len(answer.content) < 1000


async def test_an_option_may_have_equal_values_in_the_body_and_the_query() -> None:
    query = {"crop": "1", "background": "#f00", "format": "jpg"}
    form = {"crop": "true", "background": "red", "format": "jpeg"}
    async with serving() as (client, _):
        answer = await client.post(PATH, params=query, files={"image": PNG}, data=form)
        assert answer.status_code == 200, answer.text
        assert answer.json()["format"] == "jpeg"
        json_form = {"image": B64, "crop": True, "background": "Red", "format": "jpg"}
        assert (await client.post(PATH, params=query, json=json_form)).status_code == 200


async def test_null_in_json_is_as_if_it_were_not_there() -> None:
    """Serializers of many languages write what is not set as null."""
    nulls = dict.fromkeys(JsonRemovalRequest.model_fields)
    async with serving() as (client, _):
        answer = await client.post(PATH, json=nulls | {"image": B64})
        assert answer.status_code == 200, answer.text
        check_cutout(base64.b64decode(answer.json()["image"]))
        chosen = {"image": B64, "preset": "taobao"}
        answer = await client.post(PATH, json=nulls | chosen, params={"max_side": "400"})
        assert answer.status_code == 200, answer.text
        assert [answer.json()[name] for name in ("format", "width", "height")] == ["jpeg", 400, 400]


async def test_a_truncated_jpeg_is_422() -> None:
    jpeg = picture_bytes((640, 480), "JPEG")
    async with serving() as (client, _):
        answer = await client.post(
            PATH, content=jpeg[: len(jpeg) // 2], headers={"content-type": "image/jpeg"}
        )
        assert answer.status_code == 422
        assert "truncated" in answer.json()["detail"]


async def test_pixels_in_flight_are_bounded() -> None:
    async with serving(max_inflight_pixels=3072, max_image_pixels=3072) as (client, engine):
        other = engine.budget.reserve(1e9)
        other.grow(1)
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert (answer.status_code, answer.json()["type"]) == (429, "overloaded")
        assert 'reason="pixels"} 1.0' in (await client.get("/metrics")).text
        other.release()
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200


async def test_the_router_s_own_errors_are_problems_too() -> None:
    async with serving() as (client, _):
        for method, path, status in (("GET", PATH, 405), ("GET", "/nowhere", 404)):
            answer: httpx.Response = await client.request(method, path)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert json.loads(answer.content)["status"] == status


@pytest.mark.parametrize(
    ("name", "header"),
    [("模型.onnx", "%E6%A8%A1%E5%9E%8B.onnx"), ("ZhengPeng7/BiRefNet", "ZhengPeng7/BiRefNet")],
)
async def test_a_model_may_have_any_name(name: str, header: str) -> None:
    predictor = FakePredictor()
    predictor.name = name
    async with serving(predictor) as (client, _):
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == name
        assert answer.headers["x-rmbg-model"] == header
