import pytest

from rmbg_service.removal import option_values as texts
from rmbg_service.types import Colour


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
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="colo"):
        texts.parse_colour(text)


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        ("0", (0, 0, 0, 0)),
        ("30px", (30, 30, 30, 30)),
        ("10% 5", (-10, 5, -10, 5)),
        ("1 2px 3% 4", (1, 2, -3, 4)),
    ],
)
def test_margins(text: str, margin: tuple[float, ...]) -> None:
    assert texts.parse_margin(text) == margin


@pytest.mark.parametrize("text", ["", "1 2 3", "-5px", "200%", "a", "1e9px", "nan%"])
def test_what_is_no_margin_is_refused(text: str) -> None:
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
        with pytest.raises(ValueError, match=r"%|per cent"):
            texts.parse_scale(text)
    for text in ("", "left", "10% 20% 30%", "120%"):
        with pytest.raises(ValueError, match=r"%|per cent"):
            texts.parse_position(text)
