from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ValidationError

import rmbg_service
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.validation import explained


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"scale": "5%"}, "scale: scale is between 10% and 100%"),
        ({"margin": "5px"}, "margin needs crop=true"),
        ({"quality": 500}, "quality: must be less than or equal to 100"),
        ({"crop": "perhaps"}, "crop: must be true or false"),
        ({"quality": 0, "max_side": 0}, "quality: must be greater than or equal to 1; max_side: "),
    ],
)
def test_an_error_is_told_in_the_projects_words(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RemovalOptions.model_validate(given)
    assert explained(caught.value).startswith(says)


def test_pydantics_messages_are_put_into_words_in_one_place() -> None:
    package = Path(rmbg_service.__file__).parent
    using = [path for path in package.rglob("*.py") if "Input should" in path.read_text("utf-8")]
    assert [path.name for path in using] == ["validation.py"]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Choices(BaseModel):
    one: Literal["a"] = "a"
    two: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"one": "c"}, "one: must be 'a'"),
        ({"two": "c"}, "two: must be 'a' or 'b'"),
        ({"colour": "green"}, "colour: must be 'red' or 'blue'"),
    ],
)
def test_the_choices_are_named(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Choices.model_validate(given)
    assert explained(caught.value) == says
