"""A finished job to the response that Accept asks for."""

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field
from starlette.responses import Response

from rmbg_service.api.negotiation import Accept
from rmbg_service.api.request_record import RequestRecord
from rmbg_service.api.streaming import Base64Text, StreamedResponse
from rmbg_service.imaging.cutout import Shadow
from rmbg_service.removal.result import Encoded, Placement
from rmbg_service.types import Box

Rounded = Annotated[float, AfterValidator(lambda value: round(value, 4))]


class SubjectBox(BaseModel):
    """A rectangle in px."""

    left: int
    top: int
    width: int
    height: int


class ShadowReport(BaseModel):
    """What became of the subject's shadow."""

    found: bool = Field(description="Whether the result has a shadow.")
    kind: Literal["keep", "drop"] = Field(
        description="`keep` is the subject's own shadow, `drop` a painted one."
    )
    box: SubjectBox | None = Field(
        description="Where it is denser than 10%, in the upright image you sent."
    )
    density: Rounded = Field(description="Its mean alpha there, 0 to 1, before `shadow_opacity`.")
    confidence: Rounded = Field(
        description="How well a kept shadow stands out from the texture of the ground, 0 to 1."
    )
    reason: str | None = Field(
        description="Why there is none: `no-subject`, `no-floor`, `textured-floor`, `no-shadow`, "
        "`too-large`, `weak-evidence`, `transparent-input` or `too-faint`."
    )


class PlacementReport(BaseModel):
    """How the subject is placed on its canvas."""

    fill: Rounded = Field(
        description="Fraction of the canvas that the subject and its shadow span along the tighter "
        "axis, 0 to 1.",
        examples=[0.85],
    )
    factor: Rounded = Field(
        description="Scale factor from input pixels to result pixels: above 1 the subject is "
        "enlarged.",
        examples=[0.62],
    )
    limited: bool = Field(
        description="It fills less than `scale`, because it has no more pixels and `upscale` is "
        "off."
    )


class RemovalResponse(BaseModel):
    """The result as JSON."""

    image: str = Field(description="The image as base64.")
    format: str = Field(description="Its file format.", examples=["png"])
    width: int = Field(description="Its width in px.")
    height: int = Field(description="Its height in px.")
    box: SubjectBox | None = Field(
        description="Where the subject is in the upright image you sent (alpha of 5% or more); "
        "null if nothing was found."
    )
    confidence: float = Field(
        description="How certain the network was about what it kept, 0 to 1.", examples=[0.97]
    )
    shadow: ShadowReport | None = Field(description="Null unless `shadow` was asked for.")
    placement: PlacementReport | None = Field(
        description="Null unless `canvas`, `scale`, `position` or `preset` was set."
    )
    animated: bool = Field(
        description="The file has several frames or pages; the first one was used."
    )
    model: str | None = Field(
        description="The model that predicted the matte; null if you sent your own.",
        examples=["u2netp"],
    )
    timings_ms: dict[str, float] = Field(
        description="Milliseconds in each stage.", examples=[{"decode": 52.1, "predict": 310.4}]
    )


def respond(
    accept: Accept,
    result: Encoded,
    record: RequestRecord,
    headers: dict[str, str],
    model: str | None,
) -> Response:
    """The result as JSON, or as the file itself when Accept prefers an image."""
    timings = record.timings.milliseconds()
    animated = record.info is not None and record.info.animated
    headers = headers | {
        "Server-Timing": ", ".join(f"{name};dur={ms}" for name, ms in timings.items()),
        "X-RMBG-Confidence": str(result.confidence),
        "Vary": "Accept",
    }
    if result.box is not None:
        headers["X-RMBG-Box"] = _box_header(result.box)
    headers |= _shadow_headers(result.shadow)
    if result.placement is not None:
        headers["X-RMBG-Placement"] = _placement_header(result.placement)
    if animated:
        headers["X-RMBG-Animated"] = "first-frame-only"
    if accept.preferred_file_type() is not None:
        return StreamedResponse([result.data], headers, result.media_type)
    described = RemovalResponse.model_validate(
        {
            "image": "",  # encoded on the way out
            "format": result.format,
            "width": result.width,
            "height": result.height,
            "box": result.box,
            "confidence": result.confidence,
            "shadow": result.shadow,
            "placement": result.placement,
            "animated": animated,
            "model": model,
            "timings_ms": timings,
        },
        from_attributes=True,
    )
    tail = b'", ' + json.dumps(described.model_dump(exclude={"image"})).encode()[1:]
    return StreamedResponse(
        [b'{"image": "', Base64Text(result.data), tail], headers, "application/json"
    )


def _box_header(box: Box) -> str:
    return f"{box.left},{box.top},{box.width},{box.height}"


def _shadow_headers(shadow: Shadow | None) -> dict[str, str]:
    if shadow is None:
        return {}
    if shadow.box is None:
        return {"X-RMBG-Shadow": f"none; reason={shadow.reason}"}
    return {
        "X-RMBG-Shadow": f"{shadow.kind}; density={shadow.density:.4f}; "
        f"confidence={shadow.confidence:.4f}",
        "X-RMBG-Shadow-Box": _box_header(shadow.box),
    }


def _placement_header(placement: Placement) -> str:
    text = f"fill={placement.fill:.4f}; factor={placement.factor:.4f}"
    return f"{text}; limited" if placement.limited else text
