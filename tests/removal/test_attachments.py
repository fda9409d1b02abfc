import pytest

from rmbg_service.errors import InvalidImage, MalformedRequest, WrongShape
from rmbg_service.imaging.source import ImageInfo
from rmbg_service.removal.attachments import named, require_consistent, require_shape
from rmbg_service.removal.options import RemovalOptions

PHOTO = ImageInfo("jpeg", 4000, 3000)


@pytest.mark.parametrize(
    "size", [(4000, 3000), (8000, 6000), (320, 240), (683, 512), (513, 384), (1, 1)]
)
def test_the_shape_of_the_picture_at_any_size(size: tuple[int, int]) -> None:
    require_shape("matte", ImageInfo("png", *size), PHOTO)


@pytest.mark.parametrize("size", [(3000, 4000), (1024, 1024), (330, 240), (4000, 1)])
def test_another_shape_is_refused_with_both_sizes(size: tuple[int, int]) -> None:
    with pytest.raises(WrongShape, match="4000 x 3000, got"):
        require_shape("strokes", ImageInfo("png", *size), PHOTO)
    require_shape("background_image", ImageInfo("png", *size), PHOTO)


def test_a_mode_without_strokes_is_refused() -> None:
    exact = RemovalOptions(strokes_mode="exact")
    require_consistent(exact, ["strokes"])
    with pytest.raises(MalformedRequest, match="strokes_mode needs strokes"):
        require_consistent(exact, ["matte"])


def test_an_error_names_its_image() -> None:
    assert str(named("matte", InvalidImage("truncated"))) == "the matte: truncated"
    assert isinstance(named("strokes", WrongShape("x")), WrongShape)
    assert str(named("background_image", InvalidImage("x"))) == "the background: x"
