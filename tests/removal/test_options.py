"""Options hold parsed values and are written as the texts they came from."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from rmbg_service.removal.option_values import Parsed, Region
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.types import Colour, Length, Margin, Position


def test_values_are_parsed_once_and_written_as_text() -> None:
    options = RemovalOptions(
        crop=True, margin=" 10%  5PX", background="Tomato", roi="0 0 50% 20px", output="cutout"
    )
    assert options.background == Parsed(Colour(255, 99, 71), "tomato")
    assert options.margin.value == Margin(*[Length(10, relative=True), Length(5)] * 2)
    assert options.roi is not None
    assert isinstance(options.roi.value, Region)
    written = {"margin": "10% 5px", "background": "tomato", "roi": "0 0 50% 20px"}
    assert options.model_dump().items() >= written.items()
    assert options.model_dump(mode="json").items() >= written.items()


def test_scale_and_position() -> None:
    placed = RemovalOptions(scale="55%", position="0% 100%")
    assert placed.scale.value == pytest.approx(0.55)
    assert placed.position == Parsed(Position(0, 1), "0% 100%")
    assert placed.placed
    assert RemovalOptions(position="center").placed
    for still in ({}, {"scale": "original"}, {"position": "original"}):
        assert not RemovalOptions.model_validate(still).placed


@pytest.mark.parametrize(
    "given", [{}, {"crop": True, "margin": "1 2px 3% 4.5"}, {"scale": "30%"}, {"roi": "0 0 9% 9%"}]
)
def test_what_is_written_is_read_as_the_same(given: dict[str, Any]) -> None:
    options = RemovalOptions.model_validate(given)
    assert options.model_dump(mode="json", exclude_unset=True) == given
    for form in (options.model_dump(), options.model_dump(mode="json"), dict(options)):
        assert RemovalOptions.model_validate(form) == options
    assert RemovalOptions.model_validate_json(options.model_dump_json()) == options


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"background": 5}, "valid string"),
        ({"margin": None}, "valid string"),
        ({"margin": "1" * 61}, "at most 60 characters"),
        ({"scale": "5%"}, "between 10% and 100%"),
        ({"margin": "1px"}, "margin needs crop=true"),
        ({"shadow_opacity": 0.5}, "shadow_opacity needs shadow=keep|drop|auto"),
        ({"shadow_angle": 0}, "shadow_angle needs shadow=drop|auto"),
        ({"shadow_softness": 0, "shadow": "off"}, "shadow_softness needs shadow=drop|auto"),
        ({"shadow_angle": 0, "shadow": "keep"}, "shadow_angle needs shadow=drop|auto"),
        ({"crop": True, "scale": "50%"}, "crop cannot be combined with scale"),
    ],
)
def test_wrong_values_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        RemovalOptions.model_validate(given)
