"""The image files that come with an image: a background, a matte, strokes."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias, get_args

from rmbg_service.errors import ImageTooLarge, InvalidImage, MalformedRequest, WrongShape
from rmbg_service.imaging.source import ImageInfo
from rmbg_service.messages import Message
from rmbg_service.removal.options import RemovalOptions

AttachmentName = Literal["background_image", "matte", "strokes"]
"""What an attachment is called in a form, in a JSON object and on the command line."""

ATTACHMENTS: tuple[AttachmentName, ...] = get_args(AttachmentName)

DESCRIPTIONS: dict[AttachmentName, str] = {
    "background_image": "An image to put the cutout on.",
    "matte": "A mask or matte of your own, in place of the network's: the transparency of an image "
    "that has any, else its brightness. It has the shape of the upright image, at any size.",
    "strokes": "Brush strokes that correct the matte, painted on a transparent image of the shape "
    "of the upright image, at any size: light strokes keep, dark ones erase; see `strokes_mode`.",
}

_CALLED: dict[AttachmentName, Message] = {
    "background_image": Message("background"),
    "matte": Message("matte"),
    "strokes": Message("strokes"),
}

Files: TypeAlias = Mapping[AttachmentName, bytes]
"""Attachments, not decoded."""


class Attachment(NamedTuple):
    """A file, and what its header says."""

    data: bytes
    info: ImageInfo


def require_consistent(options: RemovalOptions, names: Iterable[AttachmentName]) -> None:
    """Raise `MalformedRequest` if `options` do not go with the attachments of these `names`."""
    if "background_image" in names:
        if options.background is not None:
            raise MalformedRequest("give background or background_image, not both")
        if options.output != "cutout":
            if options.output == "matte":
                raise MalformedRequest("a matte has no background: leave out background_image")
            raise MalformedRequest("layers have no background: leave out background_image")
    if "strokes_mode" in options.model_fields_set and "strokes" not in names:
        raise MalformedRequest("strokes_mode needs strokes")


def require_shape(name: AttachmentName, info: ImageInfo, image: ImageInfo) -> None:
    """Raise `WrongShape` if a matte or strokes do not have the image's proportions.

    Each side may be off by a pixel, as rounding makes it.
    """
    if name == "background_image":
        return
    difference = abs(info.width * image.height - info.height * image.width)
    if difference > image.width + image.height:
        raise WrongShape(
            "expected the proportions of the image, {expected}, got {found}",
            expected=f"{image.width} x {image.height}",
            found=f"{info.width} x {info.height}",
        )


def named(
    name: AttachmentName, error: InvalidImage | ImageTooLarge
) -> InvalidImage | ImageTooLarge:
    """The error, saying which of the images it is about."""
    return type(error)("the {what}: {problem}", what=_CALLED[name], problem=error.message)
