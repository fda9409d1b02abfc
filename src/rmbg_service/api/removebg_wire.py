"""A request of the remove.bg API to `RemovalRequest`."""

import json
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.datastructures import UploadFile

from rmbg_service.api import body
from rmbg_service.api.fetch import Fetcher, FetchFailed, FetchRefused
from rmbg_service.api.removebg_errors import RemoveBgError
from rmbg_service.api.wire import RemovalRequest
from rmbg_service.errors import MalformedRequest, UnsupportedMediaType
from rmbg_service.imaging import compose
from rmbg_service.imaging.region import parse_region
from rmbg_service.options import RemovalOptions
from rmbg_service.settings import RemoveBgSize

_SOURCES = ("image_file", "image_file_b64", "image_url")
_BACKGROUNDS = ("bg_color", "bg_image_file", "bg_image_url")
_PARAMETER = "the parameter {name}: {reason}"
_MAX_MARGIN_PX = 500
_MAX_MARGIN_PART = 0.5
_MAX_DETAIL = 300
_FORMATS = {"jpg": "jpeg"}
_SHADOWS = {"none": "off", "auto": "auto", "3D": "auto", "car": "auto", "drop": "drop"}
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
    """Everything but the pictures; unknown parameters are ignored, as the original does."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)

    size: RemoveBgSize | None = Field(
        None,
        description="The most pixels of the result: `preview` = `small` = `regular` 0.25 MP, "
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
        description="`auto` is png where the result has transparency, else jpg; `zip` holds "
        "`color.jpg` and `alpha.png`.",
    )
    roi: str = Field(
        "0% 0% 100% 100%",
        description="Region of interest `x1 y1 x2 y2`, each in `px` or `%`; outside it everything "
        "is background.",
    )
    crop: bool = Field(False, description="Cut to the subject's box.")
    crop_margin: str = Field(
        "0",
        description="With `crop`: 1, 2 or 4 values, in `px` (at most 500) or `%` of the subject "
        "(at most 50).",
    )
    scale: str = Field(
        "original", description="`10%` to `100%` of the canvas; implies `position=center`."
    )
    position: str | None = Field(
        None, description="`original`, `center`, `x%` or `x% y%`; has no effect with `crop`."
    )
    channels: Literal["rgba", "alpha"] = Field(
        "rgba", description="`alpha` gives the matte alone, as a grey picture."
    )
    bg_color: str | None = Field(
        None, description="3, 4, 6 or 8 hexadecimal digits, with or without `#`, or a CSS name."
    )
    add_shadow: bool = Field(False, description="The old form of `shadow_type=auto`.")
    shadow_type: Literal["none", "auto", "drop", "3D", "car"] | None = Field(
        None,
        description="`auto`: the subject's own shadow where it can be kept, else a painted one; "
        "`3D` and `car` are the same. `drop`: a painted one.",
    )
    shadow_opacity: float = Field(
        100, ge=0, le=100, description="Per cent of the shadow's alpha that is used."
    )
    semitransparency: bool = Field(
        True, description="`false` makes partly transparent parts of the subject opaque."
    )

    @field_validator("roi")
    @classmethod
    def _known_region(cls, text: str) -> str:
        parse_region(text)
        return text

    @field_validator("crop_margin")
    @classmethod
    def _known_margin(cls, text: str) -> str:
        if not all(
            -_MAX_MARGIN_PART * 100 <= side <= _MAX_MARGIN_PX for side in compose.parse_margin(text)
        ):
            raise ValueError("a margin is at most 500px or 50%")
        return text

    @field_validator("scale")
    @classmethod
    def _known_scale(cls, text: str) -> str:
        compose.parse_scale(text)
        return text

    @field_validator("position")
    @classmethod
    def _known_position(cls, text: str | None) -> str | None:
        if text is not None:
            compose.parse_position(text)
        return text

    @field_validator("bg_color")
    @classmethod
    def _known_colour(cls, text: str | None) -> str | None:
        if text is not None:
            compose.parse_colour(text)
        return text

    @property
    def _shadow(self) -> str:
        kind = self.shadow_type or ("auto" if self.add_shadow else "none")
        return _SHADOWS[kind]

    def options(self, default_size: RemoveBgSize, has_background: bool) -> RemovalOptions:
        """The same wishes in the service's own words."""
        opaque = has_background or (
            self.bg_color is not None and compose.parse_colour(self.bg_color)[3] == 255
        )
        pixels = _SIZES.get(self.size or default_size)
        if pixels is not None and (self.format == "png" or (self.format == "auto" and not opaque)):
            pixels = min(pixels, _PNG_MAX_PIXELS)
        matte = self.channels == "alpha"
        placed = {} if self.crop else {"scale": self.scale, "position": self.position}
        return RemovalOptions.model_validate(
            {
                "output": "matte" if matte else "cutout",
                "format": _FORMATS.get(self.format, self.format),
                "roi": self.roi,
                "crop": self.crop,
                "margin": self.crop_margin if self.crop else "0",
                "background": None if matte else self.bg_color,
                "semitransparency": self.semitransparency,
                "shadow": "off" if matte else self._shadow,
                "shadow_opacity": self.shadow_opacity / 100,
                "max_pixels": pixels,
                "on_empty": "error",
                **placed,
            }
        )


@dataclass(frozen=True)
class RemoveBgRequest:
    """An understood request."""

    removal: RemovalRequest
    parameters: RemoveBgParameters


async def read_request(
    request: Request,
    fetcher: Fetcher | None,
    default_size: RemoveBgSize,
    max_body_bytes: int,
) -> RemoveBgRequest:
    """Read the body once, understand it, and fetch what it names by URL.

    Raises `RemoveBgError` with the API's code, or what `api.body` raises.
    """
    fields = await _read_fields(request, max_body_bytes)
    sources = [name for name in _SOURCES if name in fields]
    if len(sources) != 1:
        code = "multiple_sources" if sources else "missing_source"
        raise RemoveBgError(code, f"give exactly one of {', '.join(_SOURCES)}")
    backgrounds = [name for name in _BACKGROUNDS if name in fields]
    if len(backgrounds) > 1:
        raise RemoveBgError("multiple_bg_sources", f"give one of {', '.join(_BACKGROUNDS)}")
    parameters = _parameters(fields)
    if parameters.channels == "alpha" and parameters.format == "zip":
        raise RemoveBgError("invalid_format", "channels=alpha is one picture, not a zip")
    data = await _picture(fields, sources[0], fetcher, max_body_bytes)
    background = None
    if backgrounds and backgrounds != ["bg_color"]:
        left = max_body_bytes - (len(data) if sources == ["image_url"] else 0)
        background = await _picture(fields, backgrounds[0], fetcher, left)
    options = parameters.options(default_size, has_background=background is not None)
    if options.output == "matte":
        background = None
    return RemoveBgRequest(RemovalRequest(data, options, background), parameters)


async def _read_fields(request: Request, max_body_bytes: int) -> dict[str, str | bytes]:
    """The fields that say something: files as bytes, everything else as text."""
    kind = body.content_type(request)
    given: list[tuple[str, Any]]
    if kind == "application/json":
        given = _json_members(await body.read_json(request))
    elif kind == "application/x-www-form-urlencoded":
        given = _form_members(await body.read_bytes(request))
    elif kind == "multipart/form-data":
        form = await body.read_multipart(request, max_body_bytes)
        try:
            given = [
                (name, await value.read() if isinstance(value, UploadFile) else value)
                for name, value in form.multi_items()
            ]
        finally:
            await form.close()
    else:
        raise UnsupportedMediaType(
            f"Content-Type is {kind or 'missing'}; send multipart/form-data, "
            "application/x-www-form-urlencoded or application/json"
        )
    return {name: value for name, value in given if value not in ("", b"", None)}


def _json_members(text: bytearray) -> list[tuple[str, Any]]:
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedRequest("the body is not valid JSON") from None
    if not isinstance(members, dict):
        raise MalformedRequest("the body is not a JSON object")
    return list(members.items())


def _form_members(text: bytearray) -> list[tuple[str, Any]]:
    try:
        members = parse_qsl(text.decode("utf-8"), max_num_fields=body.MAX_FIELDS)
    except ValueError:
        raise MalformedRequest("the body is not a form") from None
    # Base64 has no spaces; where it seems to, a client has not escaped its plus signs.
    return [(k, v.replace(" ", "+") if k == "image_file_b64" else v) for k, v in members]


def _parameters(fields: dict[str, str | bytes]) -> RemoveBgParameters:
    known = {name: fields[name] for name in RemoveBgParameters.model_fields if name in fields}
    try:
        return RemoveBgParameters.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        name, reason = first["loc"][0], first["msg"].removeprefix("Value error, ")
        raise RemoveBgError(
            f"invalid_{name}", _PARAMETER.format(name=name, reason=reason)[:_MAX_DETAIL]
        ) from None


async def _picture(
    fields: dict[str, str | bytes], name: str, fetcher: Fetcher | None, max_bytes: int
) -> bytes:
    value = fields[name]
    if name.endswith("_url"):
        return await _fetch(value, name, fetcher, max_bytes)
    if isinstance(value, bytes):
        return value
    if name == "image_file_b64" and isinstance(value, str):
        try:
            return body.decode_base64(value)
        except MalformedRequest as error:
            raise RemoveBgError("failed_to_read_image", str(error)) from None
    raise RemoveBgError(
        "failed_to_read_image",
        f"send {name} as a file of a multipart/form-data body; base64 goes into image_file_b64",
    )


async def _fetch(url: object, name: str, fetcher: Fetcher | None, max_bytes: int) -> bytes:
    refused, failed = {
        "image_url": ("invalid_image_url", "failed_image_download"),
        "bg_image_url": ("invalid_bg_image_url", "failed_bg_download"),
    }[name]
    if fetcher is None:
        raise RemoveBgError(
            refused, "this service fetches nothing: send the file, or set RMBG_URL_FETCH=on"
        )
    if not isinstance(url, str):
        raise RemoveBgError(refused, f"{name} is text")
    try:
        return await fetcher.fetch(url, max_bytes)
    except FetchRefused as error:
        raise RemoveBgError(refused, str(error)) from None
    except FetchFailed as error:
        raise RemoveBgError(failed, str(error)) from None
