"""A finished job to the response that Accept asks for."""

import json

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from rmbg_service.api.accept import preferred_image
from rmbg_service.api.pieces import Base64Text, PiecesResponse
from rmbg_service.api.record import RequestRecord
from rmbg_service.imaging.encode import ENCODERS
from rmbg_service.options import RemovalOptions
from rmbg_service.serving.pipeline import Encoded


class SubjectBox(BaseModel):
    """A rectangle in px."""

    left: int
    top: int
    width: int
    height: int


class RemovalResponse(BaseModel):
    """The result as JSON."""

    image: str = Field(description="The picture as base64.")
    format: str = Field(description="Its file format.", examples=["png"])
    width: int = Field(description="Its width in px.")
    height: int = Field(description="Its height in px.")
    box: SubjectBox | None = Field(
        description="Where the subject is in the upright picture you sent (alpha of 5 % or more); "
        "null when nothing was found."
    )
    confidence: float = Field(
        description="How decided the network was about what it kept, 0 to 1.", examples=[0.97]
    )
    animated: bool = Field(
        description="The file has more frames or pages; only the first one was used."
    )
    model: str = Field(description="The model that predicted the matte.", examples=["u2netp"])
    timings_ms: dict[str, float] = Field(
        description="Milliseconds in each stage.", examples=[{"decode": 52.1, "predict": 310.4}]
    )


def respond(
    request: Request, result: Encoded, record: RequestRecord, headers: dict[str, str], model: str
) -> Response:
    """The result as JSON, or as the file itself when Accept prefers an image."""
    timings = record.stamps.milliseconds()
    animated = record.info is not None and record.info.animated
    headers = headers | {
        "Server-Timing": ", ".join(f"{name};dur={ms}" for name, ms in timings.items()),
        "X-RMBG-Confidence": str(result.confidence),
        "Vary": "Accept",
    }
    box = None
    if result.box is not None:
        box = [result.box.left, result.box.top, result.box.width, result.box.height]
        headers["X-RMBG-Box"] = ",".join(map(str, box))
    if animated:
        headers["X-RMBG-Animated"] = "first-frame-only"
    if preferred_image(request.headers.get("accept", "")) is not None:
        return PiecesResponse([result.data], headers, result.media_type)
    rest = {
        "format": result.format,
        "width": result.width,
        "height": result.height,
        "box": box and dict(zip(SubjectBox.model_fields, box, strict=True)),
        "confidence": result.confidence,
        "animated": animated,
        "model": model,
        "timings_ms": timings,
    }
    tail = b'", ' + json.dumps(rest).encode()[1:]
    return PiecesResponse(
        [b'{"image": "', Base64Text(result.data), tail], headers, "application/json"
    )


def negotiate(options: RemovalOptions, accept: str) -> RemovalOptions:
    """`options` with the format that Accept names, where the caller named none."""
    wanted = preferred_image(accept)
    if wanted is None or "format" in options.model_fields_set:
        return options
    for name, encoder in ENCODERS.items():
        if encoder.media_type == wanted:
            return RemovalOptions.model_validate(
                options.model_dump(exclude_unset=True) | {"format": name}
            )
    return options
