"""Content negotiation: what a client accepts (RFC 9110, section 12.5.1)."""

from dataclasses import dataclass

from starlette.datastructures import Headers

from rmbg_service.imaging.encode import ENCODERS

_MAX_RANGES = 100
_FILE_TYPES = frozenset(encoder.media_type for encoder in ENCODERS.values())
_SPELLINGS = {"image/jpg": "image/jpeg"}


@dataclass(frozen=True)
class Accept:
    """The media ranges of a request's Accept, each with its weight, in the order they came."""

    ranges: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, headers: Headers) -> "Accept":
        """Parse the header, whose lines are one list (RFC 9110, section 5.3).

        Media ranges after the hundredth are ignored.
        """
        items = ",".join(headers.getlist("accept")).split(",", _MAX_RANGES)
        return cls(tuple(map(_media_range, items[:_MAX_RANGES])))

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


def _media_range(item: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip().lower() for part in item.split(";"))
    return _SPELLINGS.get(media_type, media_type), _weight(parameters)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
