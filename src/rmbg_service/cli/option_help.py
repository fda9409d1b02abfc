"""How `--help` shows the options of a removal: group, what to type, one line of text.

The texts are shorter than those of the API. What may change comes from the fields: defaults, lists
of values, and bounds.
"""

from typing import NamedTuple, get_args

from pydantic.fields import FieldInfo

from rmbg_service.removal.options import RemovalOptions

FILES, RESULT, FRAME, SUBJECT, MODEL = "Files", "Result", "Frame", "Subject and shadow", "Model"
_OTHER = "More"
_NOT_OFFERED = {"auto", "jpg"}
"""Values of `format` that the command does not list: one is refused, one is another spelling."""


class OptionHelp(NamedTuple):
    """What is shown of an option; a `rare` one only by `--help-all`.

    `{values}` in the text stands for the list of values. An empty `metavar` stands for that list,
    the bounds, or the name.
    """

    group: str
    metavar: str
    text: str
    rare: bool = False


_SHOWN = {
    "output": OptionHelp(RESULT, "", "The image with alpha, the matte, or layers in a zip."),
    "format": OptionHelp(RESULT, "FORMAT", "One of {values}."),
    "quality": OptionHelp(RESULT, "", "Quality of lossy formats."),
    "max_bytes": OptionHelp(RESULT, "N", "Lower the quality until the file fits.", rare=True),
    "color_profile": OptionHelp(RESULT, "", "Convert to sRGB, or keep the profile.", rare=True),
    "background": OptionHelp(RESULT, "COLOUR", "A CSS colour, such as white or #f5f6f8."),
    "preset": OptionHelp(FRAME, "NAME", "One of {values}."),
    "canvas": OptionHelp(
        FRAME, "SIZE", "Its size, such as 2000x2000 px, or its shape, such as 4:5."
    ),
    "scale": OptionHelp(FRAME, "PERCENT", "How much of the canvas the subject fills."),
    "position": OptionHelp(FRAME, "PLACE", "Center, original, x% or 'x% y%'.", rare=True),
    "upscale": OptionHelp(FRAME, "", "Allow the subject to be enlarged.", rare=True),
    "min_side": OptionHelp(
        FRAME, "PX", "Shrink the canvas before the subject fills less.", rare=True
    ),
    "crop": OptionHelp(FRAME, "", "Crop to the subject and its shadow."),
    "margin": OptionHelp(FRAME, "LENGTHS", "With --crop: 5%, 30px, or 2 or 4 of them."),
    "max_side": OptionHelp(FRAME, "PX", "Shrink until no side is longer.", rare=True),
    "max_pixels": OptionHelp(FRAME, "N", "Limit the number of pixels.", rare=True),
    "detail": OptionHelp(SUBJECT, "MODE", "Edges: {values}."),
    "roi": OptionHelp(
        SUBJECT, "'X1 Y1 X2 Y2'", "Look for the subject only there, in px or %.", rare=True
    ),
    "strokes_mode": OptionHelp(
        SUBJECT, "", "A stroke means the thing under it, or only its pixels.", rare=True
    ),
    "semitransparency": OptionHelp(SUBJECT, "", "Keep glass transparent.", rare=True),
    "decontaminate": OptionHelp(SUBJECT, "", "Clean the colours of soft edges.", rare=True),
    "on_empty": OptionHelp(SUBJECT, "", "What to do if there is no subject.", rare=True),
    "shadow": OptionHelp(SUBJECT, "", "Keep its own, paint one (drop), or either (auto)."),
    "shadow_opacity": OptionHelp(SUBJECT, "", "Scale the shadow's alpha.", rare=True),
    "shadow_angle": OptionHelp(
        SUBJECT, "DEGREES", "Of a painted shadow: 0 behind, 90 right, 180 in front.", rare=True
    ),
    "shadow_softness": OptionHelp(SUBJECT, "", "Of a painted shadow.", rare=True),
}


def option_help(name: str, field: FieldInfo) -> OptionHelp:
    """What is shown of a field of `RemovalOptions`."""
    shown = _SHOWN.get(name)
    if shown is None:
        first_sentence = (field.description or "").split(". ")[0].rstrip(".").replace("`", "") + "."
        shown = OptionHelp(_OTHER, "", first_sentence, rare=True)
    values = _values(field)
    metavar = shown.metavar or "|".join(values) or _bounds(field)
    offered = ", ".join(value for value in values if name != "format" or value not in _NOT_OFFERED)
    text = shown.text.replace("{values}", offered).removesuffix(".") + _default(field) + "."
    return shown._replace(metavar=metavar or name.upper().replace("_", "-"), text=text)


def _values(field: FieldInfo) -> list[str]:
    kinds = [field.annotation, *get_args(field.annotation)]  # of `Literal[...] | None`, too
    return [value for kind in kinds for value in get_args(kind) if isinstance(value, str)]


def _bounds(field: FieldInfo) -> str:
    low = [bound.ge for bound in field.metadata if hasattr(bound, "ge")]
    high = [bound.le for bound in field.metadata if hasattr(bound, "le")]
    return f"{low[0]}-{high[0]}" if low and high else ""


def _default(field: FieldInfo) -> str:
    """The default in brackets, if it is not plain that there is none."""
    if field.default is True:
        return " [yes]"
    if field.default is False or not isinstance(field.default, int | float | str):
        return ""
    return f" [{field.default:g}]" if isinstance(field.default, float) else f" [{field.default}]"


ORDER = [*_SHOWN, *(name for name in RemovalOptions.model_fields if name not in _SHOWN)]
"""The options in the order in which they are shown."""
