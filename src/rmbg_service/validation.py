"""What pydantic says of a wrong value, in the words of this project."""

from pydantic import ValidationError

_OWN = "Value error, "
"""How pydantic begins the message of a `ValueError` that a validator raised."""


def in_words(message: str) -> str:
    """The message of one error, without pydantic's vocabulary."""
    text = message.removeprefix(_OWN)
    return text.replace("Input should be", "must be", 1)


def explained(error: ValidationError) -> str:
    """All errors in one line, each with the name of its value; no value is told."""
    reasons = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        name = ".".join(map(str, item["loc"]))
        reasons.append(f"{name}: {in_words(item['msg'])}" if name else in_words(item["msg"]))
    return "; ".join(reasons)
