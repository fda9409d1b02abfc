"""Content negotiation: what a client accepts (RFC 9110, section 12.5)."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from starlette.datastructures import Headers

from rmbg_service.imaging.encode import ENCODERS
from rmbg_service.messages import Language

_MAX_RANGES = 100
_FILE_TYPES = frozenset(encoder.media_type for encoder in ENCODERS.values())
_SPELLINGS = {"image/jpg": "image/jpeg"}
_LANGUAGES: dict[Language, re.Pattern[str]] = {
    "en": re.compile(r"en(-.*)?"),
    "zh-CN": re.compile(r"zh(-(cn|sg|my|hans(-.*)?))?"),  # simplified Chinese
}
assert _LANGUAGES.keys() == set(get_args(Language))


@dataclass(frozen=True)
class Accept:
    """The media ranges of a request's Accept, each with its weight, in the order they came."""

    ranges: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, headers: Headers) -> "Accept":
        """Parse the header; media ranges after the hundredth are ignored."""
        ranges = _weighted(headers, "accept")
        return cls(tuple((_SPELLINGS.get(name, name), weight) for name, weight in ranges))

    def preferred_file_type(self) -> str | None:
        """The file type that is weighed above JSON, such as `image/png`; None for JSON.

        A type that the service does not write counts as `image/*`.
        """
        best, json_weight = ("", 0.0), 0.0
        for media_type, weight in self.ranges:
            if media_type in ("application/json", "application/*"):
                json_weight = max(json_weight, weight)
            elif media_type.startswith("image/") or media_type == "application/zip":
                known = media_type in _FILE_TYPES
                if weight > best[1] or (weight == best[1] and best[0] == "image/*" and known):
                    best = (media_type if known else "image/*", weight)
        return best[0] if best[1] > json_weight else None

    def prefers_json(self) -> bool:
        """Whether JSON is weighed above everything else.

        In `application/json, text/plain, */*`, which axios sends with every request, it is not.
        """
        json_weight, other_weight = 0.0, 0.0
        for media_type, weight in self.ranges:
            if media_type == "application/json":
                json_weight = max(json_weight, weight)
            elif not media_type.startswith("text/"):
                other_weight = max(other_weight, weight)
        return json_weight > other_weight


def preferred_language(headers: Headers) -> Language:
    """The language that Accept-Language weighs most, of two equal ones the first; else English.

    `*` stands for a language that has no range of its own. Ranges after the hundredth are ignored.
    """
    weights: dict[Language, float] = {}
    any_weight = 0.0
    for tag, weight in _weighted(headers, "accept-language"):
        if tag == "*":
            any_weight = max(any_weight, weight)
        for language, tags in _LANGUAGES.items():
            if tags.fullmatch(tag):
                weights[language] = max(weights.get(language, 0.0), weight)
    for language in _LANGUAGES:
        weights.setdefault(language, any_weight)
    best = max(weights, key=lambda language: weights[language])
    return best if weights[best] > 0 else "en"


def _weighted(headers: Headers, name: str) -> Iterator[tuple[str, float]]:
    """The items of a header in lower case, each with its weight.

    The header's lines are one list (RFC 9110, section 5.3); a weight that is not a number is 0.
    """
    items = ",".join(headers.getlist(name)).split(",", _MAX_RANGES)
    for item in items[:_MAX_RANGES]:
        value, *parameters = (part.strip().lower() for part in item.split(";"))
        yield value, _weight(parameters)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                weight = float(parameter[2:])
            except ValueError:
                return 0.0
            return weight if math.isfinite(weight) else 0.0
    return 1.0
