"""A finished job to the response that Accept asks for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pybase64
from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rmbg_service.api.record import RequestRecord
from rmbg_service.imaging.box import Box
from rmbg_service.imaging.cutout import Shadow
from rmbg_service.imaging.encode import ENCODERS
from rmbg_service.options import RemovalOptions
from rmbg_service.serving.pipeline import Encoded

_PIECE_BYTES = 192 * 1024  # a multiple of 3, so that pieces of base64 join without padding


class SubjectBox(BaseModel):
    """A rectangle in px."""

    left: int
    top: int
    width: int
    height: int


class ShadowReport(BaseModel):
    """What became of the subject's shadow."""

    found: bool = Field(description="There is a shadow in the result.")
    kind: Literal["keep", "drop"] = Field(description="Its own one, or a painted one.")
    box: SubjectBox | None = Field(
        description="Where it is denser than 10 %, in the upright picture you sent."
    )
    density: float = Field(description="Its mean alpha there, 0 to 1, before `shadow_opacity`.")
    confidence: float = Field(
        description="How well a kept shadow stands out of the floor's texture, 0 to 1."
    )
    reason: str | None = Field(
        description="Why there is none: `no-subject`, `no-floor`, `textured-floor`, `no-shadow`, "
        "`too-large`, `weak-evidence` or `transparent-input`."
    )


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
    shadow: ShadowReport | None = Field(description="Null unless `shadow` was asked for.")
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
    if result.box is not None:
        headers["X-RMBG-Box"] = _box_header(result.box)
    headers |= _shadow_headers(result.shadow)
    if animated:
        headers["X-RMBG-Animated"] = "first-frame-only"
    if preferred_image(request.headers.get("accept", "")) is not None:
        return PiecesResponse([result.data], headers, result.media_type)
    rest = {
        "format": result.format,
        "width": result.width,
        "height": result.height,
        "box": _box(result.box),
        "confidence": result.confidence,
        "shadow": _shadow(result.shadow),
        "animated": animated,
        "model": model,
        "timings_ms": timings,
    }
    tail = b'", ' + json.dumps(rest).encode()[1:]
    return PiecesResponse([b'{"image": "', _Base64(result.data), tail], headers, "application/json")


def _box(box: Box | None) -> dict[str, int] | None:
    if box is None:
        return None
    return {"left": box.left, "top": box.top, "width": box.width, "height": box.height}


def _box_header(box: Box) -> str:
    return f"{box.left},{box.top},{box.width},{box.height}"


def _shadow(shadow: Shadow | None) -> dict[str, Any] | None:
    if shadow is None:
        return None
    return {
        "found": shadow.found,
        "kind": shadow.kind,
        "box": _box(shadow.box),
        "density": round(shadow.density, 4),
        "confidence": round(shadow.confidence, 4),
        "reason": shadow.reason,
    }


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


def negotiate(options: RemovalOptions, accept: str) -> RemovalOptions:
    """`options` with the format that Accept names, where the caller named none."""
    wanted = preferred_image(accept)
    if wanted is None or options.output == "layers" or "format" in options.model_fields_set:
        return options
    for name, encoder in ENCODERS.items():
        if encoder.media_type == wanted:
            return RemovalOptions.model_validate(
                options.model_dump(exclude_unset=True) | {"format": name}
            )
    return options


def preferred_image(accept: str) -> str | None:
    """The file type that Accept weighs above JSON (RFC 9110, section 12.5.1), None for JSON."""
    best, json_weight = ("", 0.0), 0.0
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = _weight(parameters)
        if media_type in ("application/json", "application/*"):
            json_weight = max(json_weight, weight)
        elif media_type.startswith("image/") or media_type == "application/zip":
            # A type that cannot be written counts as a wish for an image of any kind.
            writable = any(encoder.media_type == media_type for encoder in ENCODERS.values())
            if weight > best[1] or (weight == best[1] and best[0] == "image/*" and writable):
                best = (media_type if writable else "image/*", weight)
    return best[0] if best[1] > json_weight else None


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


@dataclass(frozen=True)
class _Base64:
    """Bytes that go out as base64 text, encoded a piece at a time."""

    data: bytes

    def __len__(self) -> int:
        return -(-len(self.data) // 3) * 4


class PiecesResponse(Response):
    """A body of known length, sent in pieces, so that a slow reader's memory stays bounded."""

    def __init__(
        self, parts: list[bytes | _Base64], headers: dict[str, str], media_type: str
    ) -> None:
        super().__init__(None, 200, headers, media_type)
        self.headers["content-length"] = str(sum(map(len, parts)))
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the body piece by piece."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        for piece in self._pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _pieces(self) -> Iterator[bytes]:
        for part in self._parts:
            data = memoryview(part.data if isinstance(part, _Base64) else part)
            for start in range(0, len(data), _PIECE_BYTES):
                piece = bytes(data[start : start + _PIECE_BYTES])
                yield pybase64.b64encode(piece) if isinstance(part, _Base64) else piece
