"""Texts that clients read, in their languages.

A text is written in English where it is needed, as a template and its values. Its translations are
in `messages.zh.toml`, by template; a text without one stays English. Logs and exceptions are
English.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

Language = Literal["en", "zh-CN"]
"""A language that clients are answered in, as a tag of BCP 47."""

_CATALOGUES: Mapping[Language, str] = {"zh-CN": "messages.zh.toml"}


class Message:
    """A text: a template in the syntax of `str.format`, and the values of its fields.

    A value that is a message itself is translated, too. Without values a template is plain text,
    in which braces have no meaning.
    """

    def __init__(self, template: str, /, **values: object) -> None:
        self.template = template
        self.values = values

    def text(self, language: Language) -> str:
        """The text in a language."""
        template = catalogue(language).get(self.template, self.template)
        if not self.values:
            return template
        return template.format(
            **{
                name: value.text(language) if isinstance(value, Message) else value
                for name, value in self.values.items()
            }
        )

    def __str__(self) -> str:
        """The text in English."""
        return self.text("en")


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """The templates in a language by those in English; nothing for English itself."""
    if language not in _CATALOGUES:
        return {}
    text = files("rmbg_service").joinpath(_CATALOGUES[language]).read_text("utf-8")
    return tomllib.loads(text)
