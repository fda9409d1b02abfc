import pytest

from rmbg_service.errors import InvalidRegion
from rmbg_service.imaging.region import parse_region
from rmbg_service.types import Box


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
def test_the_box_in_a_picture_of_200_x_100(text: str, box: Box | None) -> None:
    assert parse_region(text).box(200, 100) == box


@pytest.mark.parametrize("text", ["", "1 2 3 4", "0% 0% 100%", "0% 0% 101% 100%", "-1px 0% 9% 9%"])
def test_what_is_no_region(text: str) -> None:
    with pytest.raises(ValueError, match=r"region|per cents"):
        parse_region(text)


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
        parse_region(text).box(200, 100)
    assert caught.value.reason == reason
