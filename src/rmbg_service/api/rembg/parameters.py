"""The parameters of rembg's HTTP API, and the options of the service that they stand for."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from rmbg_service.errors import MalformedRequest
from rmbg_service.removal.option_values import OptionText, Parsed
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.types import Colour

_CHANNELS = re.compile(r"[0-9]{1,3}(,[0-9]{1,3}){2,3}")
_MAX_NAME = 64
SAME_MODELS = {
    "bria-rmbg": ("RMBG-2.0", "RMBG-2.0-onnx"),
    "birefnet-general": ("BiRefNet",),
    "birefnet-general-fp16": ("BiRefNet", "birefnet-general"),
    "birefnet-general-lite": ("BiRefNet_lite",),
    "birefnet-portrait": ("BiRefNet-portrait", "birefnet-portrait-onnx"),
    "birefnet-dis": ("BiRefNet-DIS5K",),
    "birefnet-hrsod": ("BiRefNet-HRSOD",),
    "birefnet-cod": ("BiRefNet-COD",),
}
"""The models of this service that have the weights of one of rembg's under another name."""


def parse_rgba(text: str) -> Colour:
    """Parse `red,green,blue` or `red,green,blue,alpha`, each from 0 to 255."""
    text = text.replace(" ", "")
    channels = [int(part) for part in text.split(",")] if _CHANNELS.fullmatch(text) else []
    if not channels or max(channels) > 255:
        raise ValueError("expected red,green,blue,alpha, each from 0 to 255")
    red, green, blue, *alpha = channels
    return Colour(red, green, blue, *alpha or [255])


class RembgParameters(BaseModel):
    """Everything but the image; unknown parameters are ignored, as rembg does."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str | None = Field(
        None,
        max_length=_MAX_NAME,
        description="The model that is loaded, under rembg's name or this service's; any other is "
        "an error. Without it, the one that is loaded.",
    )
    a: bool = Field(False, description="Alpha matting: edges as with `detail=best`.")
    af: int = Field(240, ge=0, le=255, description="Accepted; no trimap is made.")
    ab: int = Field(10, ge=0, le=255, description="Accepted; no trimap is made.")
    ae: int = Field(10, ge=0, description="Accepted; no trimap is made.")
    om: bool = Field(False, description="Only the mask: the matte, as a grey image.")
    ppm: bool = Field(
        False,
        description="Post-process the mask: the inside of the subject becomes opaque, as with "
        "`semitransparency=false`.",
    )
    dc: bool | None = Field(
        None,
        description="`false` leaves the colour of the old background in soft edges, unless `a` or "
        "`vm` is set. Without it, edges are clean.",
    )
    vm: bool = Field(False, description="The same as `a`.")
    bgc: Annotated[Parsed[Colour], OptionText(parse_rgba, max_length=40)] | None = Field(
        None, description="A colour to put the cutout on: `red,green,blue,alpha`, 0 to 255."
    )
    extras: str | None = Field(
        None, description="Accepted; what models of rembg take as JSON does not apply here."
    )

    def require_model(self, loaded: str) -> None:
        """Raise `MalformedRequest` if the parameter names another model than the one `loaded`."""
        wanted = self.model
        if wanted is None or loaded in (wanted, *SAME_MODELS.get(wanted, ())):
            return
        aliases = [alias for alias, names in SAME_MODELS.items() if loaded in names]
        known = f" ({', '.join(aliases)} in rembg)" if aliases else ""
        raise MalformedRequest(
            f"model: {wanted} is not loaded: this service runs {loaded}{known}; leave out model "
            "or start the service with another one"
        )

    def options(self) -> RemovalOptions:
        """The options of the service that do the same."""
        refined = self.a or self.vm
        return RemovalOptions.model_validate(
            {
                "output": "matte" if self.om else "cutout",
                "detail": "best" if refined else "auto",
                "decontaminate": refined or self.dc is not False,
                "semitransparency": not self.ppm,
                "background": None if self.om else self.bgc,
            }
        )
