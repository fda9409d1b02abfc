"""The types of settings that operators write as text: lists, addresses, keys, times.

A value that could never have an effect, such as an origin without its scheme, is an error.
"""

import re
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PositiveFloat, SecretStr
from pydantic_settings import NoDecode

_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^\s/*A-Z]+")  # as browsers send it (RFC 6454)
_HOST = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*|[0-9a-f:]+", re.ASCII | re.IGNORECASE)
_T = TypeVar("_T")


def _split(value: object) -> object:
    """The parts of a comma-separated text; raises `ValueError` if it has none.

    A lone comma would otherwise mean: no keys, let everyone in.
    """
    if not isinstance(value, str):
        return value
    parts = tuple(part.strip() for part in value.split(",") if part.strip())
    if not parts:
        raise ValueError("is set but empty")
    return parts


def _three_numbers(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        red, green, blue = map(float, value.split(","))
    except ValueError:
        raise ValueError("must be three numbers, such as 0.485,0.456,0.406") from None
    return red, green, blue


def _stripped(value: object) -> object:
    """A text without blanks around it; raises `ValueError` if that is empty.

    An empty path would be the current folder, and an empty address every one.
    """
    if isinstance(value, str) and not (value := value.strip()):
        raise ValueError("must not be empty")
    return value


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError(f"must be origins such as https://shop.example, or *; got {text}")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f"must be hosts such as shop.example or *.shop.example; got {text}")
    return text


def _key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be printable ASCII, because headers are")
    return key


Commas = Annotated[tuple[_T, ...], NoDecode, BeforeValidator(_split)]
"""A list of at least one, separated by commas."""
Origin = Annotated[str, AfterValidator(_origin)]
"""The origin of a web page, or `*`."""
Host = Annotated[str, AfterValidator(_host)]
"""A host name or an address; `*.` in front stands for all subdomains."""
Key = Annotated[SecretStr, AfterValidator(_key)]
"""An API key."""
Text = Annotated[str, BeforeValidator(_stripped)]
"""An address, a name or a path: not empty."""
Folder = Annotated[Path, BeforeValidator(_stripped)]
"""The path of a folder, from a text that is not empty."""
Seconds = Annotated[float, Field(gt=0, le=86_400)]
"""A time of at most a day: timers of the system have no room for very long ones."""
Rgb = Annotated[tuple[float, float, float], NoDecode, BeforeValidator(_three_numbers)]
"""A number for each channel, `r,g,b`."""
PositiveRgb = Annotated[
    tuple[PositiveFloat, PositiveFloat, PositiveFloat], NoDecode, BeforeValidator(_three_numbers)
]
"""The same, of numbers above 0."""
