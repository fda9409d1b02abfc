"""What a caller may ask for in one removal."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RemovalOptions(BaseModel):
    """Options of one removal; the same in the API, the command line and Python."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    output: Literal["cutout", "matte"] = Field(
        default="cutout",
        description=(
            "`cutout`: the picture with the background transparent (RGBA, straight alpha). "
            "`matte`: the alpha channel alone, as a grey picture."
        ),
    )
