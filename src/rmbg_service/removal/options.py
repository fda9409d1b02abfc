"""The options of one removal."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rmbg_service.matting.plan import Detail
from rmbg_service.removal.option_values import (
    NO_MARGIN,
    ORIGINAL_SCALE,
    ColourOption,
    MarginOption,
    PositionOption,
    RegionOption,
    ScaleOption,
)

OutputFormat = Literal["png", "webp", "webp-lossy", "jpeg", "jpg", "avif", "zip", "auto"]
"""A format as callers name it; `RemovalOptions.format` holds `jpeg` for `jpg`."""


class RemovalOptions(BaseModel):
    """Options of one removal; the same in the API, the command line and Python."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    output: Literal["cutout", "matte", "layers"] = Field(
        "cutout",
        description="`cutout`: the image with a transparent background (straight alpha). "
        "`matte`: the alpha channel alone, as a grey image. `layers`: a zip of "
        "`foreground.png`, `shadow.png` and `matte.png`, all of the same size.",
    )
    format: OutputFormat = Field(
        "png",
        description="`png` and `webp` are lossless; `webp-lossy` and `avif` are small and keep "
        "alpha; `jpeg`, or `jpg`, has a background, white by default; `zip` contains `color.jpg` "
        "and `alpha.png`; `auto` is `png` if the result has transparency, else `jpeg`.",
    )
    quality: int = Field(
        90, ge=1, le=100, description="Quality of `webp-lossy`, `avif`, `jpeg` and `zip`."
    )
    color_profile: Literal["srgb", "keep"] = Field(
        "srgb",
        description="`srgb` converts to sRGB; `keep` does not convert an image with an RGB profile "
        "and writes the profile to the output.",
    )
    detail: Detail = Field(
        "auto",
        description="How the network's small matte gets its full size: `off` interpolates; "
        "`guided` follows the edges of the image; `crop` runs the network again on the box of the "
        "subject; `auto` decides by what helps and what there is time for; `best` takes the time.",
    )
    decontaminate: bool = Field(
        True, description="Remove the colour of the old background from soft edges."
    )
    shadow: Literal["off", "keep", "drop", "auto"] = Field(
        "off",
        description="`keep` preserves the subject's own shadow if one is found; `drop` paints one; "
        "`auto` paints one if none can be kept.",
    )
    shadow_opacity: float = Field(
        1.0, ge=0, le=2, description="Scales the alpha of the shadow; 0.5 is half of it."
    )
    shadow_angle: float = Field(
        60.0,
        ge=-180,
        le=180,
        description="Direction of a painted shadow in degrees: 0 behind the subject, 90 to the "
        "right, -90 to the left, 180 in front.",
    )
    shadow_softness: float = Field(
        0.5, ge=0, le=1, description="Softness of a painted shadow away from the subject."
    )
    background: ColourOption | None = Field(
        None,
        description="Put the cutout on a CSS colour: a name, `#rgb`, `#rgba`, `#rrggbb` or "
        "`#rrggbbaa`.",
    )
    crop: bool = Field(False, description="Crop to the box of the subject and its shadow.")
    margin: MarginOption = Field(
        NO_MARGIN,
        json_schema_extra={"default": str(NO_MARGIN)},
        description="With `crop`: space around the box, 1, 2 or 4 values as in CSS, in `px` or in "
        "`%` of the box.",
    )
    scale: ScaleOption = Field(
        ORIGINAL_SCALE,
        json_schema_extra={"default": str(ORIGINAL_SCALE)},
        description="`10%` to `100%`: how much of the canvas the subject fills.",
    )
    position: PositionOption | None = Field(
        None,
        description="Position of the subject on the canvas: `original`, `center`, `x%` or "
        "`x% y%`. Default: `center` with `scale`, else `original`.",
    )
    roi: RegionOption | None = Field(
        None,
        description="Region of interest `x1 y1 x2 y2`, each in `px` or `%`: the subject is looked "
        "for only there, and everything outside becomes transparent.",
    )
    semitransparency: bool = Field(
        True,
        description="`false` makes glass and similar areas inside the subject opaque; edges stay "
        "soft.",
    )
    max_side: int | None = Field(
        None, ge=1, le=65_535, description="Shrink the result until no side is longer, in px."
    )
    max_pixels: int | None = Field(
        None, ge=1, description="Shrink the result until it has no more pixels than this."
    )
    on_empty: Literal["return", "error"] = Field(
        "return",
        description="If nothing is found (the matte is below 0.5 everywhere): an empty cutout, or "
        "the error `no-subject`.",
    )

    @field_validator("format")
    @classmethod
    def _canonical(cls, format_: OutputFormat) -> OutputFormat:
        return "jpeg" if format_ == "jpg" else format_

    @property
    def placed(self) -> bool:
        """Whether the subject changes its size or place on the canvas."""
        moved = self.position is not None and self.position.value is not None
        return self.scale.value is not None or moved

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.crop and self.placed:
            raise ValueError("crop cannot be combined with scale and position")
        if self.margin.text != "0" and not self.crop:
            raise ValueError("margin needs crop=true")
        if self.output == "matte" and (self.background is not None or self.format == "zip"):
            raise ValueError("a matte has no colours: leave out background and zip")
        if self.output == "layers" and (
            self.background is not None or self.format not in ("png", "zip")
        ):
            raise ValueError("layers are PNG files in a zip: leave out background and format")
        if self.output == "matte" and self.shadow != "off":
            raise ValueError("a matte has no shadow: leave out shadow")
        if self.shadow == "off" and self.shadow_opacity != 1:
            raise ValueError("shadow_opacity needs shadow")
        return self
