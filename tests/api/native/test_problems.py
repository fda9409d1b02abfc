"""Errors in the language that the client prefers, and what stays English."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from rmbg_service.errors import InferenceError
from rmbg_service.messages import Message, catalogue
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.validation import in_words
from tests.api.native.test_routes import PNG, PNG_HEADERS, WRONG
from tests.chinese import HAN
from tests.fakes import PATH, FakePredictor, serving

IN_CHINESE = {"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}
WRONG_VALUES: list[Any] = [
    None, True, 0, -1, 1.5, 1e300, "", "x", "1.5", "-1", "9" * 5000, "x" * 500, "0%", "101%",
    "1px", "0 0 0 0", "101% 0 0 0", "200%", "rgb(256,0,0)", "hsl(0,0%,0%)", "0x0", "1:50", [], {},
]  # fmt: skip


def untranslated(message: Message) -> list[str]:
    """The templates of a message and those in it that have no Chinese."""
    inner = [value for value in message.values.values() if isinstance(value, Message)]
    own = [] if message.template in catalogue("zh-CN") else [message.template]
    return own + [template for value in inner for template in untranslated(value)]


@pytest.mark.parametrize(("sent", "status", "says"), WRONG)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
async def test_what_is_wrong_is_said_in_chinese(
    sent: dict[str, Any], status: int, says: str
) -> None:
    async with serving() as (client, _):
        headers = sent.get("headers", {}) | IN_CHINESE
        answer = await client.post(PATH, **(sent | {"headers": headers}))
    assert answer.status_code == status
    assert answer.headers["content-language"] == "zh-CN"
    assert "Accept-Language" in answer.headers["vary"]
    problem = answer.json()
    assert HAN.search(problem["title"])
    assert HAN.search(problem["detail"])
    assert says not in problem["detail"] or not re.search("[a-z]{3} [a-z]{2}", says)


@pytest.mark.parametrize("name", RemovalOptions.model_fields)
@pytest.mark.parametrize("value", WRONG_VALUES, ids=lambda value: repr(value)[:12])
def test_every_wrong_value_of_an_option_is_explained_in_chinese(name: str, value: Any) -> None:
    for given in ({name: value}, {name: value, "output": "layers"}, {name: value, "crop": True}):
        try:
            RemovalOptions.model_validate(given)
        except ValidationError as error:
            for item in error.errors():
                assert untranslated(in_words(item)) == [], item["type"]


async def test_english_is_the_default_and_the_answer_says_so() -> None:
    async with serving() as (client, _):
        for headers in ({}, {"accept-language": "de, fr;q=0.5"}):
            answer = await client.post(PATH, content=b"", headers=PNG_HEADERS | headers)
            assert answer.headers["content-language"] == "en"
            assert "Accept-Language" in answer.headers["vary"]
            problem = answer.json()
            assert (problem["title"], problem["detail"]) == (
                "Malformed request",
                "the image is empty",
            )


async def test_the_language_changes_nothing_for_a_program() -> None:
    async with serving() as (client, _):
        problems = [
            (await client.post(PATH, content=b"GIF87a", headers=PNG_HEADERS | language)).json()
            for language in ({}, IN_CHINESE)
        ]
    for member in ("type", "status"):
        assert problems[0][member] == problems[1][member]


async def test_refusals_for_load_are_in_chinese_too() -> None:
    async with serving(max_inflight_jobs=1) as (client, engine):
        other = engine.budget.reserve(1e9)
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS | IN_CHINESE)
        assert (answer.status_code, answer.json()["detail"]) == (429, "正在处理 1 个任务，已达上限")
        assert int(answer.headers["retry-after"]) >= 1
        other.release()
        engine.drain()
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS | IN_CHINESE)
        assert (answer.status_code, answer.json()["detail"]) == (503, "服务正在关闭")


async def test_a_missing_key_and_a_failed_model_are_told_in_chinese() -> None:
    predictor = FakePredictor([InferenceError("the model failed on this image")])
    async with serving(predictor, api_keys=["k"]) as (client, _):
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS | IN_CHINESE)
        assert (answer.status_code, answer.json()["title"]) == (401, "未授权")
        wrong = PNG_HEADERS | IN_CHINESE | {"authorization": "Bearer one"}
        answer = await client.post(PATH, content=PNG, headers=wrong)
        assert (answer.status_code, answer.json()["detail"][:9]) == (401, "API 密钥不正确")
        keyed = PNG_HEADERS | IN_CHINESE | {"x-api-key": "k"}
        answer = await client.post(PATH, content=PNG, headers=keyed)
        assert (answer.status_code, answer.json()["detail"]) == (500, "模型处理这张图片时出错")


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/api/jobs/none", 404, "GET /api/jobs/none：找不到此编号对应的进行中请求"),
        ("GET", "/nowhere", 404, "GET /nowhere：未找到"),
        ("GET", PATH, 405, f"GET {PATH}：不支持该请求方法"),
    ],
)
async def test_paths_that_do_not_exist_are_told_in_chinese(
    method: str, path: str, status: int, detail: str
) -> None:
    async with serving() as (client, _):
        answer = await client.request(method, path, headers=IN_CHINESE)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)


@pytest.mark.parametrize("path", ["/v1.0/removebg", "/api/remove"])
async def test_the_wire_formats_of_other_services_stay_english(path: str) -> None:
    async with serving() as (client, _):
        answer = await client.post(path, headers=IN_CHINESE)
    assert answer.status_code >= 400
    assert "content-language" not in answer.headers
    assert not HAN.search(answer.text)


async def test_the_log_stays_english(caplog: pytest.LogCaptureFixture) -> None:
    predictor = FakePredictor([ValueError("a bug")])
    async with serving(predictor) as (client, _):
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS | IN_CHINESE)
    assert answer.status_code == 500
    assert HAN.search(answer.json()["detail"])
    assert "the predictor failed" in caplog.text
    assert not HAN.search(caplog.text)
