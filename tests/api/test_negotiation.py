"""Accept, parsed once; what each API makes of it is in the tests of its routes."""

import pytest
from starlette.datastructures import Headers

from rmbg_service.api.negotiation import Accept


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
