"""The options of one removal."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

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

OutputFormat = Literal["png", "webp", "webp-lossy", "jpeg", "avif", "zip", "auto"]


class RemovalOptions(BaseModel):
    """Options of one removal; the same in the API, the command line and Python."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    output: Literal["cutout", "matte", "layers"] = Field(
        "cutout",
        description="`cutout`: the picture with the background transparent (straight alpha). "
        "`matte`: the alpha channel alone, as a grey picture. `layers`: a zip of "
        "`foreground.png`, `shadow.png` and `matte.png`, all of one size.",
    )
    format: OutputFormat = Field(
        "png",
        description="`png` and `webp` lose nothing; `webp-lossy` and `avif` are small and keep "
        "alpha; `jpeg` is on a background, white unless you say; `zip` holds `color.jpg` and "
        "`alpha.png`; `auto` is `png` where the result has transparency, else `jpeg`.",
    )
    quality: int = Field(
        90, ge=1, le=100, description="Quality of `webp-lossy`, `avif`, `jpeg` and `zip`."
    )
    color_profile: Literal["srgb", "keep"] = Field(
        "srgb",
        description="`srgb` converts to sRGB; `keep` leaves the numbers of a picture with an RGB "
        "profile as they are and writes the profile into the output.",
    )
    detail: Detail = Field(
        "auto",
        description="How the network's small matte becomes full size: `off` interpolates; "
        "`guided` follows the picture's edges; `crop` runs the network again on the subject's "
        "box; `auto` decides by what helps and what there is time for; `best` takes the time.",
    )
    decontaminate: bool = Field(
        True, description="Take the old background's colour out of soft edges."
    )
    shadow: Literal["off", "keep", "drop", "auto"] = Field(
        "off",
        description="`keep` leaves the subject the shadow it has in the picture, where one is "
        "found; `drop` paints one; `auto` paints one where none can be kept.",
    )
    shadow_opacity: float = Field(
        1.0, ge=0, le=2, description="How much of the shadow's alpha is used; 0.5 is half of it."
    )
    shadow_angle: float = Field(
        60.0,
        ge=-180,
        le=180,
        description="Where a painted shadow falls, in degrees: 0 behind the subject, 90 to the "
        "right, -90 to the left, 180 in front.",
    )
    shadow_softness: float = Field(
        0.5, ge=0, le=1, description="How soft a painted shadow is away from the foot."
    )
    background: ColourOption | None = Field(
        None,
        description="Put the cutout on a CSS colour: a name, `#rgb`, `#rgba`, `#rrggbb` or "
        "`#rrggbbaa`.",
    )
    crop: bool = Field(False, description="Cut to the subject's box.")
    margin: MarginOption = Field(
        NO_MARGIN,
        json_schema_extra={"default": str(NO_MARGIN)},
        description="With `crop`: space around the box, 1, 2 or 4 values like CSS, in `px` or in "
        "`%` of the box.",
    )
    scale: ScaleOption = Field(
        ORIGINAL_SCALE,
        json_schema_extra={"default": str(ORIGINAL_SCALE)},
        description="`10%` to `100%`: how much of the canvas the subject fills.",
    )
    position: PositionOption | None = Field(
        None,
        description="Where on the canvas the subject stands: `original`, `center`, `x%` or "
        "`x% y%`. Default: `center` with `scale`, else `original`.",
    )
    roi: RegionOption | None = Field(
        None,
        description="Region of interest `x1 y1 x2 y2`, each in `px` or `%`: the subject is looked "
        "for only there, all around it becomes transparent.",
    )
    semitransparency: bool = Field(
        True,
        description="`false` makes what is partly transparent inside the subject, such as glass, "
        "opaque; edges stay soft.",
    )
    max_side: int | None = Field(
        None, ge=1, le=65_535, description="Shrink so that no side has more px than this."
    )
    max_pixels: int | None = Field(
        None, ge=1, description="Shrink so that the result has no more pixels than this."
    )
    on_empty: Literal["return", "error"] = Field(
        "return",
        description="When nothing is found (the matte reaches 0.5 nowhere): an empty cutout, or "
        "the error `no-subject`.",
    )

    @property
    def placed(self) -> bool:
        """Whether the subject changes its size or place on the canvas."""
        moved = self.position is not None and self.position.value is not None
        return self.scale.value is not None or moved

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.crop and self.placed:
            raise ValueError("crop excludes scale and position")
        if self.margin.text != "0" and not self.crop:
            raise ValueError("margin needs crop=true")
        if self.output == "matte" and (self.background is not None or self.format == "zip"):
            raise ValueError("a matte has no colours: leave out background and zip")
        if self.output == "layers" and (
            self.background is not None or self.format not in ("png", "zip")
        ):
            raise ValueError("layers are a zip of PNGs: leave out background and format")
        if self.output == "matte" and self.shadow != "off":
            raise ValueError("a matte has no shadow: leave out shadow")
        if self.shadow == "off" and self.shadow_opacity != 1:
            raise ValueError("shadow_opacity needs shadow")
        return self
