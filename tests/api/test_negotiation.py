"""Accept and Accept-Language; what each API makes of them is in the tests of its routes."""

import pytest
from starlette.datastructures import Headers

from rmbg_service.api.negotiation import Accept, preferred_language


def accept(*lines: str) -> Accept:
    return Accept.of(Headers(raw=[(b"accept", line.encode("latin-1")) for line in lines]))


@pytest.mark.parametrize(
    ("lines", "file_type"),
    [
        ([], None),
        (["*/*"], None),
        (["application/*, image/png;q=0.9"], None),
        (["image/*"], "image/*"),
        (["image/x-unknown"], "image/*"),
        (["image/*, image/webp"], "image/webp"),
        (["image/webp, image/*"], "image/webp"),
        (["Application/ZIP"], "application/zip"),
        (["application/json;q=0.3", "image/png; q=0.5"], "image/png"),
        (["image/png;q=nan"], None),
        (["image/png;q=0"], None),
    ],
)
def test_a_file_type_is_preferred_if_it_weighs_more_than_json(
    lines: list[str], file_type: str | None
) -> None:
    assert accept(*lines).preferred_file_type() == file_type


@pytest.mark.parametrize(
    ("line", "prefers"),
    [
        ("application/json", True),
        ("application/json, text/plain", True),
        ("application/json, text/plain, */*", False),
        ("application/json;q=0.4, image/png;q=0.5", False),
        ("application/*", False),
        ("", False),
    ],
)
def test_json_is_preferred_if_it_weighs_more_than_all_but_text(line: str, prefers: bool) -> None:
    assert accept(line).prefers_json() is prefers


def test_only_the_first_hundred_media_ranges_count() -> None:
    assert accept("a/b," * 99 + "image/png").preferred_file_type() == "image/png"
    assert accept("a/b," * 100 + "image/png").preferred_file_type() is None
    assert len(accept("," * 60_000).ranges) == 100


@pytest.mark.parametrize(
    ("lines", "language"),
    [
        ([], "en"),
        ([""], "en"),
        (["zh"], "zh-CN"),
        (["zh-CN"], "zh-CN"),
        (["ZH-hans-HK"], "zh-CN"),
        (["zh-SG"], "zh-CN"),
        (["zh-CN,zh;q=0.9,en;q=0.8"], "zh-CN"),
        (["en-US,en;q=0.9,zh-CN;q=0.8"], "en"),
        (["en;q=0.8, zh; q=0.9"], "zh-CN"),
        (["en;q=0.5", "zh"], "zh-CN"),
        (["zh, en"], "zh-CN"),
        (["en, zh"], "en"),
        (["de, fr;q=0.5"], "en"),
        (["de, zh;q=0.1"], "zh-CN"),
        (["zh-TW"], "en"),
        (["zh-Hant"], "en"),
        (["zh-TW,zh;q=0.9,en;q=0.8"], "zh-CN"),
        (["zhu, zh-CNX, english"], "en"),
        (["*"], "en"),
        (["*, zh;q=0.5"], "en"),
        (["zh, *;q=0.5"], "zh-CN"),
        (["en;q=0, *"], "zh-CN"),
        (["zh;q=0"], "en"),
        (["zh;q=0, en;q=0"], "en"),
        (["zh;q=high, en;q=0.1"], "en"),
        (["zh;q=inf, en;q=0.1"], "en"),
        (["zh;q=nan"], "en"),
        (["zh;level=1;q=0.5, en;q=0.4"], "zh-CN"),
        ([";;,,;q=1,"], "en"),
    ],
)
def test_the_language_that_weighs_most_is_chosen(lines: list[str], language: str) -> None:
    raw = [(b"accept-language", line.encode()) for line in lines]
    assert preferred_language(Headers(raw=raw)) == language


def test_only_the_first_hundred_languages_count() -> None:
    assert preferred_language(Headers({"accept-language": "de," * 99 + "zh"})) == "zh-CN"
    assert preferred_language(Headers({"accept-language": "de," * 100 + "zh"})) == "en"
    assert preferred_language(Headers({"accept-language": "zh-hans" + "-x" * 30_000})) == "zh-CN"
    assert preferred_language(Headers({"accept-language": "zh-x" + "-hans" * 12_000})) == "en"
