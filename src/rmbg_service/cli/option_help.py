"""How `--help` shows the options of a removal: group, what to type, one line of text."""

from typing import NamedTuple, get_args

from pydantic.fields import FieldInfo

from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.presets import PRESETS

FILES, RESULT, FRAME, SUBJECT, MODEL = "Files", "Result", "Frame", "Subject and shadow", "Model"
_OTHER = "More"


class OptionHelp(NamedTuple):
    """What is shown of an option; a `rare` one only by `--help-all`."""

    group: str
    metavar: str
    text: str
    rare: bool = False


_SHOWN = {
    "output": OptionHelp(RESULT, "", "The image with alpha, the matte alone, or layers in a zip."),
    "format": OptionHelp(RESULT, "FORMAT", "One of png, webp, webp-lossy, jpeg, avif, zip or psd."),
    "quality": OptionHelp(RESULT, "1-100", "Quality of lossy formats [90]."),
    "max_bytes": OptionHelp(RESULT, "N", "Lower the quality until the file fits.", rare=True),
    "color_profile": OptionHelp(RESULT, "", "Convert to sRGB, or keep the profile.", rare=True),
    "background": OptionHelp(RESULT, "COLOUR", "A CSS colour, such as white or #f5f6f8."),
    "preset": OptionHelp(FRAME, "NAME", f"One of {', '.join(PRESETS)}."),
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
    "max_pixels": OptionHelp(FRAME, "N", "Shrink until there are no more pixels.", rare=True),
    "detail": OptionHelp(SUBJECT, "MODE", "How edges are refined: off, guided, crop, best [auto]."),
    "roi": OptionHelp(
        SUBJECT, "'X1 Y1 X2 Y2'", "Look for the subject only there, in px or %.", rare=True
    ),
    "strokes_mode": OptionHelp(
        SUBJECT, "", "A stroke means the thing under it, or only its pixels [smart].", rare=True
    ),
    "semitransparency": OptionHelp(SUBJECT, "", "Keep glass transparent [yes].", rare=True),
    "decontaminate": OptionHelp(SUBJECT, "", "Clean the colours of soft edges [yes].", rare=True),
    "on_empty": OptionHelp(SUBJECT, "", "What to do if there is no subject.", rare=True),
    "shadow": OptionHelp(SUBJECT, "", "Keep its own shadow, paint one (drop), or either (auto)."),
    "shadow_opacity": OptionHelp(SUBJECT, "0-2", "Scale the shadow's alpha [1].", rare=True),
    "shadow_angle": OptionHelp(
        SUBJECT, "DEGREES", "Of a painted shadow: 0 behind, 90 right, 180 in front [60].", rare=True
    ),
    "shadow_softness": OptionHelp(SUBJECT, "0-1", "Of a painted shadow [0.5].", rare=True),
}


def option_help(name: str, field: FieldInfo) -> OptionHelp:
    """What is shown of a field of `RemovalOptions`."""
    shown = _SHOWN.get(name)
    if shown is None:
        first_sentence = (field.description or "").split(". ")[0].rstrip(".").replace("`", "") + "."
        shown = OptionHelp(_OTHER, "", first_sentence, rare=True)
    if shown.metavar:
        return shown
    names = [value for value in get_args(field.annotation) if isinstance(value, str)]
    return shown._replace(metavar="|".join(names) or name.upper().replace("_", "-"))


ORDER = [*_SHOWN, *(name for name in RemovalOptions.model_fields if name not in _SHOWN)]
"""The options in the order in which they are shown."""
