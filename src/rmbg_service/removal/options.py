"""The options of one removal."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rmbg_service.errors import InvalidOption
from rmbg_service.matting.plan import Detail
from rmbg_service.removal.option_values import (
    NO_MARGIN,
    ORIGINAL_CANVAS,
    ORIGINAL_SCALE,
    CanvasOption,
    ColourOption,
    MarginOption,
    PositionOption,
    RegionOption,
    ScaleOption,
)
from rmbg_service.removal.presets import PRESETS, PresetName

OutputFormat = Literal["png", "webp", "webp-lossy", "jpeg", "jpg", "avif", "zip", "psd", "auto"]
"""A format as callers name it; `RemovalOptions.format` holds `jpeg` for `jpg`."""


_PAINTED = ("drop", "auto")
_SHADOW_OPTIONS = {
    "shadow_opacity": ("keep", *_PAINTED),
    "shadow_angle": _PAINTED,
    "shadow_softness": _PAINTED,
}
"""Options that have an effect with some kinds of `shadow` only."""


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
        "and `alpha.png`; `psd` has the layers Background, Shadow and Subject; "
        "`auto` is `png` if the result has transparency, else `jpeg`.",
    )
    quality: int = Field(
        90,
        ge=1,
        le=100,
        description="Quality of the colours in `webp-lossy`, `avif`, `jpeg` and `zip`; alpha is "
        "exact in every format.",
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
        "subject; `auto` decides by what helps and what there is time for; `best` takes the time; "
        "`matting` has a matting network draw the edges, if the service has one.",
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
    preset: PresetName | None = Field(
        None,
        description="The frame, background and file that a marketplace asks for: sets `canvas`, "
        "`min_side`, `scale`, `position`, `background`, `format` and `max_bytes`, unless you set "
        "them.",
    )
    canvas: CanvasOption = Field(
        ORIGINAL_CANVAS,
        json_schema_extra={"default": str(ORIGINAL_CANVAS)},
        description="Size of the result: `2000x2000` in px, a ratio such as `1:1` or `4:5`, or "
        "`original`. Without `scale` and `position` it holds the whole image.",
    )
    scale: ScaleOption = Field(
        ORIGINAL_SCALE,
        json_schema_extra={"default": str(ORIGINAL_SCALE)},
        description="`10%` to `100%`: how much of the canvas the subject fills, with its shadow.",
    )
    position: PositionOption | None = Field(
        None,
        description="Position of the subject on the canvas: `original`, `center`, `x%` or "
        "`x% y%`. Default: `center` with `scale`, else `original`.",
    )
    upscale: bool = Field(
        False,
        description="Whether `canvas` and `scale` may enlarge the subject beyond its own pixels. "
        "Otherwise it fills less, and the response says so.",
    )
    min_side: int | None = Field(
        None,
        ge=1,
        le=65_535,
        description="With `scale` and a canvas in px: if the subject has too few pixels to fill "
        "it, the canvas gets smaller instead, until a side has this many px.",
    )
    roi: RegionOption | None = Field(
        None,
        description="Region of interest `x1 y1 x2 y2`, each in `px` or `%`: the subject is looked "
        "for only there, and everything outside becomes transparent.",
    )
    strokes_mode: Literal["smart", "exact"] = Field(
        "smart",
        description="With `strokes`: `smart` applies a stroke to the thing under it, up to the "
        "edges of that; `exact` only to the pixels under it.",
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
    max_bytes: int | None = Field(
        None,
        ge=1,
        description="The largest file: `quality` is lowered until the file fits, or the error is "
        "`too-many-bytes`.",
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
        """Whether the subject changes its size or its place, or the canvas its size."""
        moved = self.position is not None and self.position.value is not None
        return moved or self.scale.value is not None or self.canvas.value is not None

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, given: Any) -> Any:
        """`given` with the values of its preset for what it leaves open."""
        name = given.get("preset") if isinstance(given, dict) else None
        if not isinstance(name, str) or name not in PRESETS:
            return given
        options = PRESETS[name].options
        if {"canvas", "scale"} & given.keys():
            del options["min_side"]  # it belongs to the preset's own canvas
        return options | given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.preset is not None and self.output != "cutout":
            raise InvalidOption("preset needs output=cutout")
        if self.crop and self.placed:
            raise InvalidOption("crop cannot be combined with scale, position, canvas or preset")
        if self.upscale and self.canvas.value is None and self.scale.value is None:
            raise InvalidOption("upscale needs canvas or scale")
        if self.min_side is not None and (
            self.canvas.value is None or self.canvas.value.relative or self.scale.value is None
        ):
            raise InvalidOption("min_side needs scale and a canvas in px")
        if self.max_bytes is not None and self.output == "layers":
            raise InvalidOption("layers are lossless: leave out max_bytes")
        if self.margin.text != "0" and not self.crop:
            raise InvalidOption("margin needs crop=true")
        if self.output == "matte" and (
            self.background is not None or self.format in ("zip", "psd")
        ):
            raise InvalidOption("a matte has no colours: leave out background, zip and psd")
        if self.output == "layers" and (
            self.background is not None or self.format not in ("png", "zip")
        ):
            raise InvalidOption("layers are PNG files in a zip: leave out background and format")
        if self.output == "matte" and self.shadow != "off":
            raise InvalidOption("a matte has no shadow: leave out shadow")
        for name, kinds in _SHADOW_OPTIONS.items():
            default = type(self).model_fields[name].default
            if getattr(self, name) != default and self.shadow not in kinds:
                needed = "|".join(kinds)
                raise InvalidOption("{name} needs shadow={needed}", name=name, needed=needed)
        return self
