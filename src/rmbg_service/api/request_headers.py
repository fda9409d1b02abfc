"""Numbers in request headers, whatever a client writes there."""

from starlette.datastructures import Headers

_MAX_DIGITS = 15
_MAX_PREFERENCES = 100


def content_length(headers: Headers) -> int | None:
    """The announced bytes of the body; None if there is no length or it is not a number."""
    return _whole_number(headers.get("content-length", ""))


def wait_limit_s(headers: Headers) -> float:
    """How long the client will wait: `Prefer: wait=SECONDS` (RFC 7240, section 4.3).

    As the RFC demands, the first one counts, and one that is not understood is ignored; so is what
    comes after a hundred preferences.
    """
    preferences = ",".join(headers.getlist("prefer")).split(",", _MAX_PREFERENCES)
    for preference in preferences[:_MAX_PREFERENCES]:
        name, _, value = preference.partition(";")[0].partition("=")
        seconds = _whole_number(value.strip().strip('"'))
        if name.strip().lower() == "wait" and seconds:
            return float(seconds)
    return float("inf")


def _whole_number(text: str) -> int | None:
    """`text` as a number; one of very many digits as 10^15, larger than any limit."""
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text) if len(text) <= _MAX_DIGITS else 10**_MAX_DIGITS
