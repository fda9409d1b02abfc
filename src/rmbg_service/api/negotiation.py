"""What a client accepts (RFC 9110, section 12.5.1)."""

from collections.abc import Iterator

from starlette.datastructures import Headers

from rmbg_service.imaging.encode import ENCODERS


def accept_of(headers: Headers) -> str:
    """The Accept of a request, whose lines are one list (RFC 9110, section 5.3)."""
    return ", ".join(headers.getlist("accept"))


def preferred_image(accept: str) -> str | None:
    """The file type that Accept weighs above JSON, None for JSON."""
    best, json_weight = ("", 0.0), 0.0
    for media_type, weight in _weights(accept):
        if media_type in ("application/json", "application/*"):
            json_weight = max(json_weight, weight)
        elif media_type.startswith("image/") or media_type == "application/zip":
            # A type that cannot be written counts as a wish for an image of any kind.
            writable = any(encoder.media_type == media_type for encoder in ENCODERS.values())
            if weight > best[1] or (weight == best[1] and best[0] == "image/*" and writable):
                best = (media_type if writable else "image/*", weight)
    return best[0] if best[1] > json_weight else None


def prefers_json(accept: str) -> bool:
    """Whether Accept weighs JSON above everything else.

    `application/json, text/plain, */*`, which axios sends with every request, does not.
    """
    json_weight, other_weight = 0.0, 0.0
    for media_type, weight in _weights(accept):
        if media_type == "application/json":
            json_weight = max(json_weight, weight)
        elif not media_type.startswith("text/"):
            other_weight = max(other_weight, weight)
    return json_weight > other_weight


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        yield media_type, _weight(parameters)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
