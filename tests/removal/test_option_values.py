from collections.abc import Callable

import pytest

from rmbg_service.errors import InvalidRegion
from rmbg_service.removal import option_values as texts
from rmbg_service.types import Box, Colour, Length, Margin


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("red", (255, 0, 0, 255)),
        ("transparent", (0, 0, 0, 0)),
        ("rebeccapurple", (102, 51, 153, 255)),
        ("#0f0", (0, 255, 0, 255)),
        ("0f08", (0, 255, 0, 136)),
        ("#010203", (1, 2, 3, 255)),
        ("01020380", (1, 2, 3, 128)),
    ],
)
def test_css_colours(text: str, colour: Colour) -> None:
    assert texts.parse_colour(text) == colour


@pytest.mark.parametrize("text", ["", "reddish", "#12", "#12345", "12345", "url(x)"])
def test_wrong_colours_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="colo"):
        texts.parse_colour(text)


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        ("0", [(0, False)] * 4),
        ("30px", [(30, False)] * 4),
        ("10% 5", [(10, True), (5, False)] * 2),
        ("1 2px 3% 4", [(1, False), (2, False), (3, True), (4, False)]),
    ],
)
def test_margins(text: str, margin: list[tuple[float, bool]]) -> None:
    assert texts.parse_margin(text) == Margin(*(Length(*length) for length in margin))


@pytest.mark.parametrize("text", ["", "1 2 3", "-5px", "200%", "a", "1e9px", "nan%"])
def test_wrong_margins_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="margin"):
        texts.parse_margin(text)


def test_scale_and_position() -> None:
    assert texts.parse_scale("original") is None
    assert texts.parse_scale("55%") == pytest.approx(0.55)
    assert texts.parse_position("center") == (0.5, 0.5)
    assert texts.parse_position("original") is None
    assert texts.parse_position("20%") == (0.2, 0.2)
    assert texts.parse_position("0% 100%") == (0.0, 1.0)
    for text in ("5%", "101%", "big"):
        with pytest.raises(ValueError, match=r"%|percentage"):
            texts.parse_scale(text)
    for text in ("", "left", "10% 20% 30%", "120%"):
        with pytest.raises(ValueError, match=r"%|percentage"):
            texts.parse_position(text)


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("0% 0% 100% 100%", None),
        ("0px 0px 200px 100px", None),
        ("25% 10% 75% 100%", Box(50, 10, 150, 100)),
        ("10px 20px 110px 60px", Box(10, 20, 110, 60)),
        ("10px 0% 50.5% 100px", Box(10, 0, 101, 100)),
    ],
)
def test_the_box_of_a_region_in_a_picture_of_200_x_100(text: str, box: Box | None) -> None:
    assert texts.parse_region(text).box(200, 100) == box


@pytest.mark.parametrize("text", ["", "1 2 3 4", "0% 0% 100%", "0% 0% 101% 100%", "-1px 0% 9% 9%"])
def test_wrong_regions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"region|percentages"):
        texts.parse_region(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0px 0px 201px 100px", "exceeds"),
        ("0px 0px 100px 101px", "exceeds"),
        ("50% 0% 50% 100%", "empty"),
        ("0% 60px 100% 40px", "empty"),
    ],
)
def test_a_region_that_does_not_fit_the_picture(text: str, reason: str) -> None:
    with pytest.raises(InvalidRegion) as caught:
        texts.parse_region(text).box(200, 100)
    assert caught.value.reason == reason


ARABIC_INDIC = str.maketrans({str(digit): chr(0x660 + digit) for digit in range(10)})


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (texts.parse_colour, "rgb(25, 5, 5)"),
        (texts.parse_margin, "5px"),
        (texts.parse_scale, "50%"),
        (texts.parse_canvas, "20x30"),
        (texts.parse_canvas, "4:5"),
        (texts.parse_position, "5% 5%"),
        (texts.parse_region, "5px 5% 55px 55%"),
    ],
)
def test_digits_are_those_of_ascii(parse: Callable[[str], object], text: str) -> None:
    assert parse(text) is not None
    with pytest.raises(ValueError, match=r"expected|four lengths"):
        parse(text.translate(ARABIC_INDIC))
