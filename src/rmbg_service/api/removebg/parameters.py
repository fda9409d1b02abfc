"""The parameters of the remove.bg API, and the options of the service that they stand for."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rmbg_service.removal.option_values import (
    NO_MARGIN,
    ORIGINAL_SCALE,
    WHOLE_IMAGE,
    ColourOption,
    MarginOption,
    Parsed,
    PositionOption,
    RegionOption,
    ScaleOption,
)
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import RemoveBgSize
from rmbg_service.types import Colour, Margin

_MAX_MARGIN_PX = 500
_MAX_MARGIN_PERCENT = 50
_FORMATS = {"jpg": "jpeg"}
_SHADOWS = {"none": "off", "auto": "auto", "3D": "auto", "car": "auto", "drop": "drop"}
_ENUMERATED = ("size", "type", "type_level", "format", "channels", "shadow_type")
_SPELLINGS = {"50mp": "50MP", "3d": "3D", "jpeg": "jpg"}
_PNG_MAX_PIXELS = 10_000_000
_SIZES = {
    "preview": 250_000,
    "small": 250_000,
    "regular": 250_000,
    "medium": 1_500_000,
    "hd": 4_000_000,
    "full": 25_000_000,
    "4k": 25_000_000,
    "50MP": 50_000_000,
}


class RemoveBgParameters(BaseModel):
    """Everything but the images; unknown parameters are ignored, as remove.bg does."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    size: RemoveBgSize | None = Field(
        None,
        description="Most pixels of the result: `preview` = `small` = `regular` 0.25 MP, "
        "`medium` 1.5 MP, `hd` 4 MP, `full` = `4k` 25 MP (png: 10 MP), `50MP` (png: 10 MP), `auto` "
        "as many as there are. Default: `RMBG_REMOVEBG_DEFAULT_SIZE`.",
    )
    type: Literal[
        "auto", "person", "product", "car", "animal", "graphic", "transportation", "other"
    ] = Field("auto", description="Accepted; this service does not tell kinds of subjects apart.")
    type_level: Literal["none", "1", "2", "latest"] = Field(
        "1", description="`none` leaves out the header `X-Type`, which is `other` otherwise."
    )
    format: Literal["auto", "png", "jpg", "webp", "zip"] = Field(
        "auto",
        description="`auto` is png if the result has transparency, else jpg; `zip` contains "
        "`color.jpg` and `alpha.png`.",
    )
    roi: RegionOption = Field(
        WHOLE_IMAGE,
        json_schema_extra={"default": str(WHOLE_IMAGE)},
        description="Region of interest `x1 y1 x2 y2`, each in `px` or `%`; outside it everything "
        "is background.",
    )
    crop: bool = Field(False, description="Cut to the subject's box.")
    crop_margin: MarginOption = Field(
        NO_MARGIN,
        json_schema_extra={"default": str(NO_MARGIN)},
        description="With `crop`: 1, 2 or 4 values, in `px` (at most 500) or `%` of the subject "
        "(at most 50).",
    )
    scale: ScaleOption = Field(
        ORIGINAL_SCALE,
        json_schema_extra={"default": str(ORIGINAL_SCALE)},
        description="`10%` to `100%` of the canvas; implies `position=center`.",
    )
    position: PositionOption | None = Field(
        None, description="`original`, `center`, `x%` or `x% y%`; has no effect with `crop`."
    )
    channels: Literal["rgba", "alpha"] = Field(
        "rgba", description="`alpha` gives the matte alone, as a grey image."
    )
    bg_color: ColourOption | None = Field(
        None, description="3, 4, 6 or 8 hexadecimal digits, with or without `#`, or a CSS name."
    )
    add_shadow: bool = Field(False, description="The old form of `shadow_type=auto`.")
    shadow_type: Literal["none", "auto", "drop", "3D", "car"] | None = Field(
        None,
        description="`auto`: the subject's own shadow if it can be kept, else a painted one; "
        "`3D` and `car` are the same. `drop`: a painted one.",
    )
    shadow_opacity: float = Field(
        100, ge=0, le=100, description="Percentage of the shadow's alpha that is used."
    )
    semitransparency: bool = Field(
        True, description="`false` makes partly transparent parts of the subject opaque."
    )

    @field_validator("crop_margin")
    @classmethod
    def _allowed_margin(cls, margin: Parsed[Margin]) -> Parsed[Margin]:
        for length in margin.value:
            if length.value > (_MAX_MARGIN_PERCENT if length.relative else _MAX_MARGIN_PX):
                raise ValueError("a margin is at most 500px or 50%")
        return margin

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {name: _tidied(name, value) for name, value in given.items()}

    @field_validator("bg_color")
    @classmethod
    def _name_or_digits(cls, colour: Parsed[Colour] | None) -> Parsed[Colour] | None:
        if colour is not None and not re.fullmatch(r"#?[0-9a-zA-Z]+", colour.text):
            raise ValueError("a colour is hexadecimal digits or a CSS name")
        return colour

    @property
    def _shadow(self) -> str:
        kind = self.shadow_type or ("auto" if self.add_shadow else "none")
        return _SHADOWS[kind]

    def options(self, default_size: RemoveBgSize, has_background: bool) -> RemovalOptions:
        """The options of the service that do the same."""
        opaque = has_background or (self.bg_color is not None and self.bg_color.value.alpha == 255)
        pixels = _SIZES.get(self.size or default_size)
        if pixels is not None and (self.format == "png" or (self.format == "auto" and not opaque)):
            pixels = min(pixels, _PNG_MAX_PIXELS)
        matte = self.channels == "alpha"
        shadow = {"shadow": self._shadow, "shadow_opacity": self.shadow_opacity / 100}
        if matte or self._shadow == "off":
            shadow = {}
        placed: dict[str, Any] = {}
        if not self.crop:
            placed = {"scale": self.scale, "position": self.position}
            placed["upscale"] = self.scale.value is not None
        return RemovalOptions.model_validate(
            {
                "output": "matte" if matte else "cutout",
                "format": _FORMATS.get(self.format, self.format),
                "roi": self.roi,
                "crop": self.crop,
                "margin": self.crop_margin if self.crop else NO_MARGIN,
                "background": None if matte else self.bg_color,
                "semitransparency": self.semitransparency,
                "max_pixels": pixels,
                "on_empty": "error",
                **placed,
                **shadow,
            }
        )


def _tidied(name: str, value: object) -> object:
    """`value` as text in the spelling of this file; only true and false stay what they are."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    text = str(value).strip()
    return _SPELLINGS.get(text.lower(), text.lower()) if name in _ENUMERATED else text
