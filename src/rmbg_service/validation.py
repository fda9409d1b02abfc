"""What pydantic says of a wrong value, in the words of this project."""

from collections.abc import Iterable
from functools import reduce

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rmbg_service.errors import RmbgError
from rmbg_service.messages import Message

TEMPLATES = {
    "missing": "must be given",
    "extra_forbidden": "is unknown",
    "greater_than_equal": "must be greater than or equal to {ge}",
    "less_than_equal": "must be less than or equal to {le}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_too_long": "must have at most {max_length} characters",
}
"""Texts by the type that pydantic gives an error, with its names for the values."""


def in_words(item: ErrorDetails) -> Message:
    """What is wrong with one value, without the value and pydantic's vocabulary."""
    context = item.get("ctx", {})
    raised = context.get("error")
    if isinstance(raised, RmbgError):
        return raised.message
    if isinstance(raised, ValueError):
        return Message(str(raised))
    if item["type"] == "literal_error":
        *others, last = context["expected"].rsplit(" or ", 1)  # 'off', 'keep' or 'drop'
        if others:
            return Message("must be {others} or {last}", others=others[0], last=last)
        return Message("must be {last}", last=last)
    if item["type"] in TEMPLATES:
        return Message(TEMPLATES[item["type"]], **context)
    return Message(item["msg"].replace("Input should be", "must be", 1))


def with_name(item: ErrorDetails) -> Message:
    """What is wrong with one value, after the name of the value, if it has one."""
    name = ".".join(map(str, item["loc"]))
    return Message("{name}: {reason}", name=name, reason=in_words(item)) if name else in_words(item)


def joined(reasons: Iterable[Message]) -> Message:
    """Several reasons, at least one, in one line."""
    return reduce(lambda all_, next_: Message("{all}; {next}", all=all_, next=next_), reasons)


def explained(error: ValidationError) -> str:
    """All errors in one line, each with the name of its value; no value is told."""
    return str(joined(map(with_name, error.errors(include_input=False, include_url=False))))
